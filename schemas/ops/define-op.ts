/**
 * What an op is. One file in this folder declares one op; everything else about it is derived: the planner's
 * lifetimes and autodiff, the verifier's shape and define-before-use checks, the cost model, the runtime's encoder,
 * the native header and `docs/ops.md`.
 *
 * Shapes are symbolic: `["B", "S", "H"]` binds B, S and H at the first operand that names them, and every further use
 * must agree. A product such as `"2*P"` or `"N*D"` is checked after all plain symbols are bound. By convention B is
 * the sequences of a micro-batch, S the positions of a sequence. Every op treats the sequences of a batch one by one
 * and in order, so that the micro-batch never changes a bit.
 */
import { invariant } from "../diagnostic.ts";

export type DType = "f32" | "bf16" | "f16" | "f64" | "i32";

export const dtypeBytes: Readonly<Record<DType, number>> = { f32: 4, bf16: 2, f16: 2, f64: 8, i32: 4 };

/** Dtypes that frozen weights may be stored in. */
export const weightDTypes = ["f32", "bf16", "f16"] as const satisfies readonly DType[];
/** Dtypes of matrix-product inputs; the product runs in the dtype of its activation operand. */
export const activationDTypes = ["f32", "bf16"] as const satisfies readonly DType[];

export type Dim = string | number;

export interface OperandDeclaration {
  /** `update` reads and writes the same bytes; `write` never reads what was there unless the call accumulates. */
  readonly access: "read" | "write" | "update";
  /** A write operand that a call may ask to add to (`accumulate: true`) instead of overwriting. */
  readonly accumulable?: true;
  readonly optional?: true;
  readonly shape: readonly Dim[];
  readonly dtypes: readonly DType[];
  /** An operand declared before, whose dtype this one has in every call. */
  readonly sameDTypeAs?: string;
  readonly doc: string;
}

export interface AttributeDeclaration {
  readonly type: "f32" | "f64" | "i32";
  readonly doc: string;
}

/** Values of the symbols of one call, e.g. `{ B: 2, S: 512, K: 1024, N: 2816 }`. */
export type Dims = Readonly<Record<string, number>>;

/** What cost and scratch formulas may depend on. */
export interface CallShape {
  readonly dims: Dims;
  readonly dtypes: Readonly<Record<string, DType>>;
  readonly attributes: Readonly<Record<string, number>>;
}

/** A value of the graph being differentiated; opaque to backward rules. */
export type ValueId = string;
/** Where a backward rule puts a gradient; the autodiff decides whether it is written or added to. */
export interface GradientTarget {
  readonly gradientOf: ValueId;
}

/**
 * What a backward rule sees: the forward call and the means to emit calls. Rules are written once per op; the order
 * of emission is the order of execution.
 */
export interface BackwardContext {
  readonly attributes: Readonly<Record<string, number>>;
  /** The forward value bound to an operand (input or output). */
  value(operand: string): ValueId;
  /** The gradient of the loss with respect to an output operand, already complete. */
  gradient(operand: string): ValueId;
  /** The same in the dtype that the output itself has. */
  gradientLikeOutput(operand: string): ValueId;
  /** Whether the gradient of an input operand is wanted: false for frozen weights and integer inputs. */
  needs(operand: string): boolean;
  /** Target for the gradient of an input operand. */
  into(operand: string): GradientTarget;
  /** Emits one backward call. */
  emit(
    op: string,
    operands: Readonly<Record<string, ValueId | GradientTarget>>,
    attributes?: Record<string, number>,
  ): void;
  /** Says that the gradient of `input` is exactly the gradient of `output`, unchanged (the identity). */
  pass(output: string, input: string): void;
}

export interface OpDeclaration<Name extends string = string> {
  readonly name: Name;
  /** One line with the formula. */
  readonly doc: string;
  /** Where the formula comes from. */
  readonly source: string;
  readonly operands: Readonly<Record<string, OperandDeclaration>>;
  readonly attributes: Readonly<Record<string, AttributeDeclaration>>;
  /** Extra relations between the symbols, each with the message of its violation. */
  readonly constraints?: readonly { readonly holds: (dims: Dims) => boolean; readonly message: string }[];
  /** For matrix products: the operand whose dtype the product runs in, and so which matrix rate it is limited by. */
  readonly productOperand?: string;
  /** Floating-point operations of one call (a multiply-add counts two). */
  readonly flops: (call: CallShape) => number;
  /** Upper bound of the kernel's private scratch in bytes, for `threads` threads; native refuses at load if it needs more. */
  readonly scratch?: (call: CallShape, threads: number) => number;
  /** Emits the calls that compute the needed input gradients; `null` for ops that are never differentiated. */
  readonly backward: ((context: BackwardContext) => void) | null;
}

/** Declares an op; keeps the literal types so that names and operands stay checkable. */
export function defineOp<const Declaration extends OpDeclaration>(declaration: Declaration): Declaration {
  return declaration;
}

/** The next multiple of `step`; native kernels pad to vectors of at most 16 f32 and parts to cache lines of 64 bytes. */
export function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}

/** Number of elements of a concrete shape. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

/** Bytes of a dense tensor. */
export function tensorBytes(shape: readonly number[], dtype: DType): number {
  return elements(shape) * dtypeBytes[dtype];
}

export interface BoundOperand {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly accumulate: boolean;
}

/** Binds an op's symbols to concrete operands; returns the problems instead of dims when shapes, dtypes or modes disagree. */
export function bindDims(
  op: OpDeclaration,
  operands: Readonly<Record<string, BoundOperand>>,
): { readonly dims: Dims; readonly problems: readonly string[] } {
  const dims: Record<string, number> = {};
  const problems: string[] = [];
  const products: { operand: string; expression: string; size: number }[] = [];
  for (const name of Object.keys(operands)) {
    if (!(name in op.operands)) problems.push(`${op.name} has no operand ${name}`);
  }
  for (const [name, declared] of Object.entries(op.operands)) {
    const bound = operands[name];
    if (!bound) {
      if (!declared.optional) problems.push(`${op.name}.${name} is missing`);
      continue;
    }
    if (!declared.dtypes.includes(bound.dtype)) problems.push(`${op.name}.${name} cannot be ${bound.dtype}`);
    const same = declared.sameDTypeAs === undefined ? undefined : operands[declared.sameDTypeAs];
    if (same && same.dtype !== bound.dtype) {
      problems.push(`${op.name}.${name} is ${bound.dtype}, and ${declared.sameDTypeAs} ${same.dtype}`);
    }
    if (bound.accumulate && !declared.accumulable) problems.push(`${op.name}.${name} cannot accumulate`);
    if (bound.shape.length !== declared.shape.length) {
      problems.push(`${op.name}.${name} has rank ${bound.shape.length}, not ${declared.shape.length}`);
      continue;
    }
    declared.shape.forEach((dim, axis) => {
      const size = bound.shape[axis]!;
      if (typeof dim === "number" || dim.includes("*")) {
        products.push({ operand: name, expression: String(dim), size });
      } else if (dims[dim] === undefined) {
        dims[dim] = size;
      } else if (dims[dim] !== size) {
        problems.push(`${op.name}.${name}: ${dim} is ${dims[dim]} elsewhere and ${size} here`);
      }
    });
  }
  for (const { operand, expression, size } of products) {
    const expected = evaluateProduct(expression, dims);
    if (expected !== size) problems.push(`${op.name}.${operand}: ${expression} is ${expected}, not ${size}`);
  }
  for (const constraint of op.constraints ?? []) {
    if (problems.length === 0 && !constraint.holds(dims)) problems.push(`${op.name}: ${constraint.message}`);
  }
  return { dims, problems };
}

function evaluateProduct(expression: string, dims: Dims): number {
  return expression.split("*").reduce((product, factor) => {
    const size = /^\d+$/.test(factor) ? Number(factor) : dims[factor];
    return product * (size ?? Number.NaN);
  }, 1);
}

/** Bytes that one call reads and writes, each operand once; accumulation and updates count both ways. */
export function callTraffic(op: OpDeclaration, operands: Readonly<Record<string, BoundOperand>>): number {
  let total = 0;
  for (const [name, bound] of Object.entries(operands)) {
    const declared = op.operands[name];
    invariant(declared, `${op.name} has no operand ${name}`);
    const both = declared.access === "update" || bound.accumulate;
    total += tensorBytes(bound.shape, bound.dtype) * (both ? 2 : 1);
  }
  return total;
}
