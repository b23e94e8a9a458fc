import { defineOp, weightDTypes } from "./define-op.ts";

/** Looks up one row per token in a resident table. */
export const embedding = defineOp({
  name: "embedding",
  doc: "x[b,s,:] = table[tokens[b,s],:], widened to f32.",
  source: "torch.nn.Embedding",
  operands: {
    tokens: { access: "read", shape: ["B", "S"], dtypes: ["i32"], doc: "Token ids in [0, V)." },
    table: { access: "read", shape: ["V", "H"], dtypes: weightDTypes, doc: "Embedding table." },
    x: {
      access: "write",
      shape: ["B", "S", "H"],
      dtypes: ["f32"],
      doc: "Residual stream entering the first block.",
    },
  },
  attributes: {},
  flops: () => 0,
  backward: null,
});
