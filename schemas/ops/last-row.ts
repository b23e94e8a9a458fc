import { stepLengths } from "./attention-common.ts";
import { defineOp } from "./define-op.ts";

/** The row of the last new position: the only one whose logits generation asks for. */
export const lastRow = defineOp({
  name: "last_row",
  doc: "y[b, 0, :] = x[b, new_tokens − 1, :].",
  source: "next-token prediction",
  operands: {
    x: {
      access: "read",
      shape: ["B", "S", "H"],
      dtypes: ["f32"],
      doc: "Residual stream of the new positions.",
    },
    new_tokens: stepLengths.new_tokens,
    y: { access: "write", shape: ["B", 1, "H"], dtypes: ["f32"], doc: "That of the last one." },
  },
  attributes: {},
  flops: () => 0,
  backward: null,
});
