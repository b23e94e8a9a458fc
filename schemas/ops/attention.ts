import { attentionScratch, causalProduct, groupedHeads } from "./attention-common.ts";
import { activationDTypes, defineOp } from "./define-op.ts";

/** Causal grouped-query attention inside segments, blocked with online softmax: no S×S matrix exists. */
export const attention = defineOp({
  name: "attention",
  doc: "o = softmax(scale · q·kᵀ, keys in [segment_start[s], s]) · v; log_sum_exp is kept for the backward.",
  source:
    "Vaswani et al. 2017, eq. 1; Dao 2023 (FlashAttention-2), algorithm 1; Ainslie et al. 2023 for grouped heads",
  operands: {
    q: { access: "read", shape: ["B", "S", "N", "D"], dtypes: activationDTypes, doc: "Queries, rotated." },
    k: {
      access: "read",
      shape: ["B", "S", "G", "D"],
      dtypes: activationDTypes,
      sameDTypeAs: "q",
      doc: "Keys, rotated; head n uses group ⌊n·G/N⌋.",
    },
    v: {
      access: "read",
      shape: ["B", "S", "G", "D"],
      dtypes: activationDTypes,
      sameDTypeAs: "q",
      doc: "Values.",
    },
    segment_start: {
      access: "read",
      shape: ["B", "S"],
      dtypes: ["i32"],
      doc: "First position of each token's segment, ≤ s.",
    },
    o: { access: "write", shape: ["B", "S", "N", "D"], dtypes: activationDTypes, doc: "Output heads." },
    log_sum_exp: {
      access: "write",
      shape: ["B", "N", "S"],
      dtypes: ["f32"],
      doc: "log Σ exp of the scaled scores.",
    },
  },
  attributes: { scale: { type: "f32", doc: "Usually D^(−1/2)." } },
  constraints: [groupedHeads],
  flops: (call) => 2 * causalProduct(call),
  scratch: attentionScratch,
  backward: (g) => {
    g.emit(
      "attention_backward",
      {
        do: g.gradientLikeOutput("o"),
        q: g.value("q"),
        k: g.value("k"),
        v: g.value("v"),
        o: g.value("o"),
        log_sum_exp: g.value("log_sum_exp"),
        segment_start: g.value("segment_start"),
        dq: g.into("q"),
        dk: g.into("k"),
        dv: g.into("v"),
      },
      { scale: g.attributes.scale! },
    );
  },
});
