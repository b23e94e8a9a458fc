import { activationDTypes, defineOp } from "./define-op.ts";

/** The gated activation of the MLP. */
export const swiglu = defineOp({
  name: "swiglu",
  doc: "y = silu(gate) · up, silu(z) = z / (1 + e^(−z)).",
  source: "Shazeer 2020, eq. 6",
  operands: {
    gate: { access: "read", shape: ["B", "S", "F"], dtypes: ["f32"], doc: "Gate projection." },
    up: { access: "read", shape: ["B", "S", "F"], dtypes: ["f32"], doc: "Up projection." },
    y: {
      access: "write",
      shape: ["B", "S", "F"],
      dtypes: activationDTypes,
      doc: "Input of the down projection.",
    },
  },
  attributes: {},
  flops: ({ dims }) => 12 * dims.B! * dims.S! * dims.F!,
  backward: (g) =>
    g.emit("swiglu_backward", {
      dy: g.gradient("y"),
      gate: g.value("gate"),
      up: g.value("up"),
      dgate: g.into("gate"),
      dup: g.into("up"),
    }),
});
