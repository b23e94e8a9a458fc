import { activationDTypes, defineOp, weightDTypes } from "./define-op.ts";

/** Input gradient of `rms_norm`; the inverse root mean square is computed again from x. */
export const rmsNormBackward = defineOp({
  name: "rms_norm_backward",
  doc: "dx (+)= r·(w·dy) − x·r³·mean(w·dy·x), with r = (mean(x²) + epsilon)^(−1/2).",
  source: "derivative of Zhang & Sennrich 2019, eq. 4",
  operands: {
    dy: { access: "read", shape: ["B", "S", "H"], dtypes: activationDTypes, doc: "Gradient of y." },
    x: { access: "read", shape: ["B", "S", "H"], dtypes: ["f32"], doc: "Input of the forward call." },
    weight: { access: "read", shape: ["H"], dtypes: weightDTypes, doc: "Gain." },
    dx: {
      access: "write",
      accumulable: true,
      shape: ["B", "S", "H"],
      dtypes: ["f32"],
      doc: "Gradient of x.",
    },
  },
  attributes: { epsilon: { type: "f32", doc: "As in the forward call." } },
  flops: ({ dims }) => 10 * dims.B! * dims.S! * dims.H!,
  backward: null,
});
