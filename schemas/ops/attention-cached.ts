import { attentionScratch, cacheHoldsStep, groupedHeads, stepLengths } from "./attention-common.ts";
import { activationDTypes, defineOp } from "./define-op.ts";

/**
 * Attention of new positions over a key/value cache that already holds their own rows (see `cache_append`). A position
 * gets the same bits however many of its neighbours are computed with it, and the bits of `attention` over a sequence
 * that is one segment: keys are added up in the same blocks.
 */
export const attentionCached = defineOp({
  name: "attention_cached",
  doc: "o[s] = softmax(scale · q[s]·kᵀ, keys in [0, kv_length + s]) · v for s < new_tokens; 0 in the rows behind.",
  source: "Vaswani et al. 2017, eq. 1; Dao 2023 (FlashAttention-2), algorithm 1",
  operands: {
    q: { access: "read", shape: ["B", "S", "N", "D"], dtypes: ["f32"], doc: "Queries, rotated." },
    k: { access: "read", shape: ["B", "C", "G", "D"], dtypes: ["f32"], doc: "Cached keys, rotated." },
    v: { access: "read", shape: ["B", "C", "G", "D"], dtypes: ["f32"], doc: "Cached values." },
    ...stepLengths,
    o: { access: "write", shape: ["B", "S", "N", "D"], dtypes: activationDTypes, doc: "Output heads." },
  },
  attributes: { scale: { type: "f32", doc: "Usually D^(−1/2)." } },
  constraints: [groupedHeads, cacheHoldsStep],
  // Of a full cache: how much of it is filled is known only when it runs.
  flops: ({ dims }) => 4 * dims.B! * dims.N! * dims.S! * dims.C! * dims.D!,
  scratch: ({ dims, ...call }, threads) =>
    attentionScratch({ ...call, dims: { ...dims, S: dims.C! } }, threads),
  backward: null,
});
