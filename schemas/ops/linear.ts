import { activationDTypes, defineOp, weightDTypes } from "./define-op.ts";
import { linearFlops, linearTiles, productScratch } from "./linear-common.ts";

/** Matrix product with a weight stored as [out, in]; LoRA's two factors are linears too. */
export const linear = defineOp({
  name: "linear",
  doc: "y (+)= alpha · x · wᵀ; computed in the dtype of x, accumulated in f32.",
  source: "torch.nn.Linear; Hu et al. 2021, eq. 3 for the low-rank branch",
  operands: {
    x: { access: "read", shape: ["B", "S", "K"], dtypes: activationDTypes, doc: "Input." },
    w: {
      access: "read",
      shape: ["N", "K"],
      dtypes: weightDTypes,
      doc: "Weight, converted tile by tile to the dtype of x.",
    },
    y: {
      access: "write",
      accumulable: true,
      shape: ["B", "S", "N"],
      dtypes: activationDTypes,
      doc: "Output.",
    },
  },
  attributes: { alpha: { type: "f32", doc: "Scale of the product." }, ...linearTiles },
  productOperand: "x",
  flops: linearFlops,
  scratch: (call, threads) =>
    productScratch(
      call,
      threads,
      {
        rows: call.dims.B! * call.dims.S!,
        columns: call.dims.N!,
        depth: call.dims.K!,
      },
      [
        { dtype: call.dtypes.x!, outers: call.dims.B! * call.dims.S! },
        { dtype: call.dtypes.w!, outers: call.dims.N! },
      ],
    ),
  backward: (g) => {
    // The same tiles and rounding.
    const attributes = { ...g.attributes };
    if (g.needs("x")) {
      g.emit("linear_grad_input", { dy: g.gradient("y"), w: g.value("w"), dx: g.into("x") }, attributes);
    }
    if (g.needs("w")) {
      g.emit("linear_grad_weight", { dy: g.gradient("y"), x: g.value("x"), dw: g.into("w") }, attributes);
    }
  },
});
