import { activationDTypes, defineOp, weightDTypes } from "./define-op.ts";

/** Root-mean-square layer normalization over the last axis, statistics in f32. */
export const rmsNorm = defineOp({
  name: "rms_norm",
  doc: "y = x · (mean(x²) + epsilon)^(−1/2) · weight.",
  source: "Zhang & Sennrich 2019, eq. 4",
  operands: {
    x: { access: "read", shape: ["B", "S", "H"], dtypes: ["f32"], doc: "Residual stream." },
    weight: { access: "read", shape: ["H"], dtypes: weightDTypes, doc: "Gain." },
    y: { access: "write", shape: ["B", "S", "H"], dtypes: activationDTypes, doc: "Normalized activations." },
  },
  attributes: { epsilon: { type: "f32", doc: "Added to the mean square." } },
  flops: ({ dims }) => 4 * dims.B! * dims.S! * dims.H!,
  backward: (g) => {
    if (!g.needs("x")) return;
    g.emit(
      "rms_norm_backward",
      { dy: g.gradient("y"), x: g.value("x"), weight: g.value("weight"), dx: g.into("x") },
      { epsilon: g.attributes.epsilon! },
    );
  },
});
