import { activationDTypes, defineOp } from "./define-op.ts";

/** Gradients of `swiglu`. */
export const swigluBackward = defineOp({
  name: "swiglu_backward",
  doc: "dup = dy·silu(gate); dgate = dy·up·σ(gate)·(1 + gate·(1 − σ(gate))).",
  source: "derivative of Shazeer 2020, eq. 6",
  operands: {
    dy: { access: "read", shape: ["B", "S", "F"], dtypes: activationDTypes, doc: "Gradient of y." },
    gate: { access: "read", shape: ["B", "S", "F"], dtypes: ["f32"], doc: "Gate projection." },
    up: { access: "read", shape: ["B", "S", "F"], dtypes: ["f32"], doc: "Up projection." },
    dgate: { access: "write", shape: ["B", "S", "F"], dtypes: activationDTypes, doc: "Gradient of gate." },
    dup: { access: "write", shape: ["B", "S", "F"], dtypes: activationDTypes, doc: "Gradient of up." },
  },
  attributes: {},
  flops: ({ dims }) => 20 * dims.B! * dims.S! * dims.F!,
  backward: null,
});
