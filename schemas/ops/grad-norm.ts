import { defineOp } from "./define-op.ts";

/** Global norm, clipping coefficient and overflow check of a step. */
export const gradNorm = defineOp({
  name: "grad_norm",
  doc: "norm = √Σ squares; clip = min(1, max_norm / (norm + 1e-6)), 1 where max_norm = 0; skip = 1 where norm is not finite.",
  source: "Pascanu et al. 2013, algorithm 1; torch.nn.utils.clip_grad_norm_",
  operands: {
    squares: { access: "read", shape: ["U"], dtypes: ["f64"], doc: "One sum of squares per unit." },
    norm: { access: "write", shape: [1], dtypes: ["f64"], doc: "Norm before clipping." },
    clip: { access: "write", shape: [1], dtypes: ["f32"], doc: "Factor of every gradient." },
    skip: { access: "write", shape: [1], dtypes: ["i32"], doc: "1 when the step must not be applied." },
  },
  attributes: { max_norm: { type: "f32", doc: "Clipping threshold; 0 turns clipping off." } },
  flops: ({ dims }) => dims.U!,
  backward: null,
});
