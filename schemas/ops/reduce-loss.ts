import { defineOp } from "./define-op.ts";

/** Mean loss over the supervised tokens of a step, summed in f64 in row order. */
export const reduceLoss = defineOp({
  name: "reduce_loss",
  doc: "loss = (Σ_b Σ_s losses[b,s]) · inverse_tokens.",
  source: "token-weighted mean over a gradient-accumulation step",
  operands: {
    losses: {
      access: "read",
      shape: ["B", "S"],
      dtypes: ["f32"],
      doc: "Per-token losses of the whole step.",
    },
    inverse_tokens: {
      access: "read",
      shape: [1],
      dtypes: ["f32"],
      doc: "1 / supervised tokens of the whole step.",
    },
    loss: { access: "write", shape: [1], dtypes: ["f64"], doc: "Mean loss." },
  },
  attributes: {},
  flops: ({ dims }) => dims.B! * dims.S!,
  backward: null,
});
