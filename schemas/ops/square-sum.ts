import { defineOp } from "./define-op.ts";

/** One term of the global gradient norm: f64 sums over fixed chunks of 4,096 elements, added in order. */
export const squareSum = defineOp({
  name: "square_sum",
  doc: "y = Σ x².",
  source: "Pascanu et al. 2013, algorithm 1 (norm)",
  operands: {
    x: { access: "read", shape: ["n"], dtypes: ["f32"], doc: "Gradients of one unit." },
    y: { access: "write", shape: [1], dtypes: ["f64"], doc: "Sum of squares." },
  },
  attributes: {},
  flops: ({ dims }) => 2 * dims.n!,
  scratch: ({ dims }) => 8 * Math.ceil(dims.n! / 4096),
  backward: null,
});
