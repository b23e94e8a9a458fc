import { defineOp } from "./define-op.ts";

/** Cosines and sines of the rotary angles of every position, once per step. */
export const ropeTable = defineOp({
  name: "rope_table",
  doc: "cosine[b,s,p] = cos(positions[b,s] · inverse_frequencies[p]), sine likewise; angles in f32.",
  source: "Su et al. 2021, eq. 15",
  operands: {
    positions: {
      access: "read",
      shape: ["B", "S"],
      dtypes: ["i32"],
      doc: "Position of each token in its segment.",
    },
    inverse_frequencies: { access: "read", shape: ["P"], dtypes: ["f32"], doc: "θ_p, after rope scaling." },
    cosine: { access: "write", shape: ["B", "S", "P"], dtypes: ["f32"], doc: "Cosines." },
    sine: { access: "write", shape: ["B", "S", "P"], dtypes: ["f32"], doc: "Sines." },
  },
  attributes: {},
  flops: ({ dims }) => 20 * dims.B! * dims.S! * dims.P!,
  backward: null,
});
