import { defineOp } from "./define-op.ts";

/** Changes the dtype of a dense buffer; with `accumulate` it adds into y, in f32. */
export const convert = defineOp({
  name: "convert",
  doc: "y = x in y's dtype, rounded to nearest even; or y += x.",
  source: "IEEE 754 conversion",
  operands: {
    x: { access: "read", shape: ["n"], dtypes: ["f32", "bf16", "f16"], doc: "Source." },
    y: { access: "write", accumulable: true, shape: ["n"], dtypes: ["f32", "bf16"], doc: "Destination." },
  },
  attributes: {},
  flops: ({ dims }) => dims.n!,
  backward: (g) => g.emit("convert", { x: g.gradient("y"), y: g.into("x") }),
});
