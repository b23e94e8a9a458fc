import { expect, test } from "vitest";
import { type BoundOperand, bindDims, type DType } from "../../schemas/ops/define-op.ts";
import { getOp } from "../../schemas/ops/index.ts";

/** Operands of `attention`, for 2 sequences of 8 positions and 4 heads of 16 in 2 groups. */
function attentionOperands(k: DType): Readonly<Record<string, BoundOperand>> {
  const operand = (shape: readonly number[], dtype: DType) => ({ shape, dtype, accumulate: false });
  return {
    q: operand([2, 8, 4, 16], "bf16"),
    k: operand([2, 8, 2, 16], k),
    v: operand([2, 8, 2, 16], "bf16"),
    segment_start: operand([2, 8], "i32"),
    o: operand([2, 8, 4, 16], "bf16"),
    log_sum_exp: operand([2, 4, 8], "f32"),
  };
}

test("operands that are declared to share a dtype do", () => {
  expect(bindDims(getOp("attention"), attentionOperands("bf16")).problems).toEqual([]);
  expect(bindDims(getOp("attention"), attentionOperands("f32")).problems).toEqual([
    "attention.k is f32, and q bf16",
  ]);
});
