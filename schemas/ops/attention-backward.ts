import { attentionBackwardScratch, causalProduct, groupedHeads } from "./attention-common.ts";
import { activationDTypes, defineOp } from "./define-op.ts";

/** Gradients of `attention`; probabilities are computed again block by block from log_sum_exp. */
export const attentionBackward = defineOp({
  name: "attention_backward",
  doc: "p = exp(scale·q·kᵀ − lse); dv = pᵀ·do; ds = p∘(do·vᵀ − rowsum(do∘o)); dq = scale·ds·k; dk = scale·dsᵀ·q, summed over the heads of a group in order.",
  source: "Dao 2023 (FlashAttention-2), algorithm 2",
  operands: {
    do: { access: "read", shape: ["B", "S", "N", "D"], dtypes: activationDTypes, doc: "Gradient of o." },
    q: {
      access: "read",
      shape: ["B", "S", "N", "D"],
      dtypes: activationDTypes,
      doc: "Queries of the forward call.",
    },
    k: {
      access: "read",
      shape: ["B", "S", "G", "D"],
      dtypes: activationDTypes,
      sameDTypeAs: "q",
      doc: "Keys.",
    },
    v: {
      access: "read",
      shape: ["B", "S", "G", "D"],
      dtypes: activationDTypes,
      sameDTypeAs: "q",
      doc: "Values.",
    },
    o: {
      access: "read",
      shape: ["B", "S", "N", "D"],
      dtypes: activationDTypes,
      sameDTypeAs: "do",
      doc: "Output of the forward call.",
    },
    log_sum_exp: { access: "read", shape: ["B", "N", "S"], dtypes: ["f32"], doc: "From the forward call." },
    segment_start: { access: "read", shape: ["B", "S"], dtypes: ["i32"], doc: "As in the forward call." },
    dq: { access: "write", shape: ["B", "S", "N", "D"], dtypes: activationDTypes, doc: "Gradient of q." },
    dk: { access: "write", shape: ["B", "S", "G", "D"], dtypes: activationDTypes, doc: "Gradient of k." },
    dv: { access: "write", shape: ["B", "S", "G", "D"], dtypes: activationDTypes, doc: "Gradient of v." },
  },
  attributes: { scale: { type: "f32", doc: "As in the forward call." } },
  constraints: [groupedHeads],
  // A group's heads are one task, so that dq, dk and dv are summed in one pass and nothing is atomic.
  flops: (call) => 5 * causalProduct(call),
  scratch: attentionBackwardScratch,
  backward: null,
});
