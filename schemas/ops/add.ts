import { defineOp } from "./define-op.ts";

/** The residual connection. */
export const add = defineOp({
  name: "add",
  doc: "y = a + b.",
  source: "He et al. 2015, eq. 1 (residual connection)",
  operands: {
    a: { access: "read", shape: ["n"], dtypes: ["f32"], doc: "The residual stream." },
    b: { access: "read", shape: ["n"], dtypes: ["f32"], doc: "The branch." },
    y: { access: "write", shape: ["n"], dtypes: ["f32"], doc: "The sum." },
  },
  attributes: {},
  flops: ({ dims }) => dims.n!,
  backward: (g) => {
    // The branch takes a copy (in its own dtype) before the stream's gradient goes on being accumulated in place.
    if (g.needs("b")) g.emit("convert", { x: g.gradient("y"), y: g.into("b") });
    if (g.needs("a")) g.pass("y", "a");
  },
});
