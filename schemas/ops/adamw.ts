import { defineOp } from "./define-op.ts";

/** One optimizer update of a unit's adapter parameters; operation by operation as PyTorch's single-tensor AdamW. */
export const adamw = defineOp({
  name: "adamw",
  doc: "g = clip·g; p = decay·p; m += (1−β₁)(g − m); v = β₂·v + (1−β₂)·g²; p −= step_size · m / (√v / bias_correction + epsilon). Nothing changes when skip = 1.",
  source: "Loshchilov & Hutter 2019, algorithm 2; torch.optim.AdamW (single tensor)",
  operands: {
    param: { access: "update", shape: ["n"], dtypes: ["f32"], doc: "Parameters." },
    grad: { access: "read", shape: ["n"], dtypes: ["f32"], doc: "Gradients, not clipped." },
    first_moment: { access: "update", shape: ["n"], dtypes: ["f32"], doc: "m." },
    second_moment: { access: "update", shape: ["n"], dtypes: ["f32"], doc: "v." },
    clip: { access: "read", shape: [1], dtypes: ["f32"], doc: "From grad_norm." },
    skip: { access: "read", shape: [1], dtypes: ["i32"], doc: "From grad_norm." },
    step_size: { access: "read", shape: [1], dtypes: ["f32"], doc: "learning rate / (1 − β₁^t)." },
    decay: { access: "read", shape: [1], dtypes: ["f32"], doc: "1 − learning rate · weight decay." },
    bias_correction: { access: "read", shape: [1], dtypes: ["f32"], doc: "√(1 − β₂^t)." },
  },
  attributes: {
    beta1: { type: "f64", doc: "Decay of m." },
    beta2: { type: "f64", doc: "Decay of v." },
    epsilon: { type: "f32", doc: "Added to the denominator." },
  },
  flops: ({ dims }) => 14 * dims.n!,
  backward: null,
});
