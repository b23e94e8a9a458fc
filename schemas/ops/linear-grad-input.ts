import { activationDTypes, defineOp, weightDTypes } from "./define-op.ts";
import { linearFlops, linearTiles, productScratch } from "./linear-common.ts";

/** Input gradient of `linear`. */
export const linearGradInput = defineOp({
  name: "linear_grad_input",
  doc: "dx (+)= alpha · dy · w; computed in the dtype of dy, accumulated in f32.",
  source: "derivative of linear",
  operands: {
    dy: { access: "read", shape: ["B", "S", "N"], dtypes: activationDTypes, doc: "Gradient of y." },
    w: {
      access: "read",
      shape: ["N", "K"],
      dtypes: weightDTypes,
      doc: "Weight, converted tile by tile to the dtype of dy.",
    },
    dx: {
      access: "write",
      accumulable: true,
      shape: ["B", "S", "K"],
      dtypes: activationDTypes,
      doc: "Gradient of x.",
    },
  },
  attributes: { alpha: { type: "f32", doc: "As in the forward call." }, ...linearTiles },
  productOperand: "dy",
  flops: linearFlops,
  scratch: (call, threads) =>
    productScratch(
      call,
      threads,
      {
        rows: call.dims.B! * call.dims.S!,
        columns: call.dims.K!,
        depth: call.dims.N!,
      },
      [
        { dtype: call.dtypes.dy!, outers: call.dims.B! * call.dims.S! },
        { dtype: call.dtypes.w!, outers: call.dims.K! },
      ],
    ),
  backward: null,
});
