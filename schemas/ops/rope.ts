import { activationDTypes, defineOp } from "./define-op.ts";

/** Rotary position embedding in the half-split layout of Hugging Face checkpoints; its own inverse with direction −1. */
export const rope = defineOp({
  name: "rope",
  doc: "y₁ = x₁·cos − d·x₂·sin, y₂ = x₂·cos + d·x₁·sin, for the halves x₁, x₂ of each head and d = direction.",
  source: "Su et al. 2021, eq. 34 (halves instead of pairs, as in Transformers' rotate_half)",
  operands: {
    x: { access: "read", shape: ["B", "S", "N", "D"], dtypes: ["f32"], doc: "Heads." },
    cosine: { access: "read", shape: ["B", "S", "P"], dtypes: ["f32"], doc: "From rope_table." },
    sine: { access: "read", shape: ["B", "S", "P"], dtypes: ["f32"], doc: "From rope_table." },
    y: {
      access: "write",
      accumulable: true,
      shape: ["B", "S", "N", "D"],
      dtypes: activationDTypes,
      doc: "Rotated heads.",
    },
  },
  attributes: { direction: { type: "i32", doc: "1 rotates, −1 rotates back (the backward)." } },
  constraints: [
    { holds: (d) => d.D === 2 * d.P!, message: "head size must be twice the number of frequencies" },
  ],
  flops: ({ dims }) => 6 * dims.B! * dims.S! * dims.N! * dims.P!,
  backward: (g) => {
    if (!g.needs("x")) return;
    g.emit(
      "rope",
      { x: g.gradient("y"), cosine: g.value("cosine"), sine: g.value("sine"), y: g.into("x") },
      { direction: -g.attributes.direction! },
    );
  },
});
