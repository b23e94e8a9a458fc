import { defineOp } from "./define-op.ts";

/** Sets every element, e.g. gradients to zero before the first accumulation. */
export const fill = defineOp({
  name: "fill",
  doc: "y[i] = value.",
  source: "torch.Tensor.fill_",
  operands: { y: { access: "write", shape: ["n"], dtypes: ["f32"], doc: "Destination." } },
  attributes: { value: { type: "f32", doc: "The value; −∞ is allowed." } },
  flops: () => 0,
  backward: null,
});
