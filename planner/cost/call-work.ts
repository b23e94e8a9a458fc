/** What a call does, in numbers that its time follows from: operations, bytes read, bytes written, length of a row. */
import type { HardwareProfile } from "../../schemas/hardware.ts";
import { type CallShape, type DType, tensorBytes } from "../../schemas/ops/define-op.ts";
import { getOp, type OpName } from "../../schemas/ops/index.ts";
import type { PlanCall } from "../../schemas/plan.ts";

export interface CallWork {
  readonly op: OpName;
  /** Of a matrix product, the dtype that it runs in: on a device f16 where it may round to it, or where a factor beside bf16 is f16; a cpu widens fp16. */
  readonly product: "f32" | "bf16" | "f16" | null;
  readonly flops: number;
  /** Every operand once; what is added to or updated counts as read and as written. */
  readonly read: number;
  readonly written: number;
  /** Elements of a row of the first operand, such as a head of attention; undefined where a profile does not tell. */
  readonly width?: number | undefined;
}

/** Requires a call that `bindDims` accepts. */
export function callWork(call: PlanCall, kind: HardwareProfile["compute"]["kind"]): CallWork {
  const op = getOp(call.op as OpName);
  const dims: Record<string, number> = {};
  const dtypes: Record<string, DType> = {};
  let read = 0;
  let written = 0;
  for (const [name, { shape, dtype, accumulate }] of Object.entries(call.operands)) {
    const { access, shape: symbols } = op.operands[name]!;
    const bytes = tensorBytes(shape, dtype);
    if (access !== "write" || accumulate) read += bytes;
    if (access !== "read") written += bytes;
    dtypes[name] = dtype;
    symbols.forEach((symbol, axis) => {
      if (typeof symbol === "string" && !symbol.includes("*")) dims[symbol] = shape[axis]!;
    });
  }
  const attributes = call.attributes as Record<string, number>;
  const flops = op.flops({ dims, dtypes, attributes });
  const product =
    op.productOperand === undefined
      ? null
      : productDType(kind, { dims, dtypes, attributes }, op.productOperand);
  const width = Object.values(call.operands)[0]!.shape.at(-1)!;
  return { op: op.name, product, flops, read, written, width };
}

function productDType(
  kind: HardwareProfile["compute"]["kind"],
  { dtypes, attributes }: CallShape,
  operand: string,
): "f32" | "bf16" | "f16" {
  const bf16 = dtypes[operand] === "bf16";
  const narrow = bf16 ? Object.values(dtypes).includes("f16") : attributes.f16_factors === 1;
  if (kind === "cuda" && narrow) return "f16";
  return bf16 ? "bf16" : "f32";
}
