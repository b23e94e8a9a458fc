import { activationDTypes, defineOp } from "./define-op.ts";
import { linearFlops, linearTiles, productScratch } from "./linear-common.ts";

/** Weight gradient of `linear`; always added to, one sequence after the other. */
export const linearGradWeight = defineOp({
  name: "linear_grad_weight",
  doc: "dw += alpha · Σ_b dy[b]ᵀ · x[b], the sequences in order; computed in the dtype of dy, accumulated in f32.",
  source: "derivative of linear",
  operands: {
    dy: { access: "read", shape: ["B", "S", "N"], dtypes: activationDTypes, doc: "Gradient of y." },
    x: {
      access: "read",
      shape: ["B", "S", "K"],
      dtypes: activationDTypes,
      doc: "Input of the forward call.",
    },
    dw: { access: "update", shape: ["N", "K"], dtypes: ["f32"], doc: "Gradient of w." },
  },
  attributes: { alpha: { type: "f32", doc: "As in the forward call." }, ...linearTiles },
  productOperand: "dy",
  flops: linearFlops,
  scratch: (call, threads) =>
    productScratch(call, threads, { rows: call.dims.N!, columns: call.dims.K!, depth: call.dims.S! }, [
      { dtype: call.dtypes.dy!, outers: call.dims.B! * call.dims.N! },
      { dtype: call.dtypes.x!, outers: call.dims.B! * call.dims.K! },
    ]),
  backward: null,
});
