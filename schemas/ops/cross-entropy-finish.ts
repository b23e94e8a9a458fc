import { defineOp } from "./define-op.ts";

/** Turns the online-softmax state into per-token losses and, when wanted, the gradient of the head's input. */
export const crossEntropyFinish = defineOp({
  name: "cross_entropy_finish",
  doc: "loss = log(sum) + maximum − label_logit; dx = (expected_row / sum − label_row) · inverse_tokens; both 0 where label = −100.",
  source: "gradient of softmax cross-entropy, Σ_v (p_v − 1[v = label])·w_v",
  operands: {
    labels: {
      access: "read",
      shape: ["B", "S"],
      dtypes: ["i32"],
      doc: "Next-token ids; −100 is not supervised.",
    },
    maximum: { access: "read", shape: ["B", "S"], dtypes: ["f32"], doc: "From cross_entropy_tile." },
    sum: { access: "read", shape: ["B", "S"], dtypes: ["f32"], doc: "From cross_entropy_tile." },
    label_logit: { access: "read", shape: ["B", "S"], dtypes: ["f32"], doc: "From cross_entropy_tile." },
    expected_row: {
      access: "read",
      optional: true,
      shape: ["B", "S", "H"],
      dtypes: ["f32"],
      doc: "From cross_entropy_tile.",
    },
    label_row: {
      access: "read",
      optional: true,
      shape: ["B", "S", "H"],
      dtypes: ["f32"],
      doc: "From cross_entropy_tile.",
    },
    inverse_tokens: {
      access: "read",
      shape: [1],
      dtypes: ["f32"],
      doc: "1 / supervised tokens of the whole step.",
    },
    losses: { access: "write", shape: ["B", "S"], dtypes: ["f32"], doc: "Loss of each token, not averaged." },
    dx: {
      access: "write",
      optional: true,
      shape: ["B", "S", "H"],
      dtypes: ["f32"],
      doc: "Gradient of the head's input.",
    },
  },
  attributes: {},
  flops: ({ dims, dtypes }) => dims.B! * dims.S! * (20 + (dtypes.dx ? 3 * dims.H! : 0)),
  backward: null,
});
