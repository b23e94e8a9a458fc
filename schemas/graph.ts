/**
 * A model's mathematics as data: a list of op calls over named values, in static single assignment. A family in
 * `models/` builds graphs; the planner differentiates and schedules them; nobody else knows what a layer is.
 *
 * Only the leading micro-batch dimension is symbolic (`"B"`); everything else is a number.
 */
import { invariant } from "./diagnostic.ts";
import { bindDims, type DType } from "./ops/define-op.ts";
import { type AttributesOf, findOp, type OperandNames, type OpName } from "./ops/index.ts";

export type GraphDim = number | "B";

export type Origin =
  /** Handed in from outside: the residual stream, rope tables, step inputs. */
  | { readonly kind: "input" }
  /** Frozen tensor of the unit, by its local name such as `q_proj`. */
  | { readonly kind: "weight" }
  /** Adapter parameter of the unit, by its local name such as `q_proj.lora_A`. */
  | { readonly kind: "parameter" }
  /** Gradient of a parameter: added to across micro-batches. */
  | { readonly kind: "gradient" }
  /** Sum of squares of one parameter's gradient. */
  | { readonly kind: "square" }
  | { readonly kind: "temporary" }
  /** The same storage under another shape. */
  | { readonly kind: "view"; readonly of: string };

export interface GraphValue {
  readonly name: string;
  readonly shape: readonly GraphDim[];
  readonly dtype: DType;
  /** Dtype of its gradient: the activation dtype where a product reads it, f32 where contributions are summed. */
  readonly gradient: DType;
  readonly origin: Origin;
}

export interface GraphOperand {
  readonly value: string;
  readonly accumulate: boolean;
}

export interface GraphCall {
  readonly op: OpName;
  readonly operands: Readonly<Record<string, GraphOperand>>;
  readonly attributes: Readonly<Record<string, number>>;
}

/** A stretch of a graph's calls that can run as a unit of its own. */
export interface GraphStage {
  readonly name: string;
  /** Index of the call behind its last. */
  readonly end: number;
  /** The one value that it hands on to the next stage; the last stage's is the graph's output. */
  readonly output: string;
}

export interface Graph {
  readonly values: Readonly<Record<string, GraphValue>>;
  readonly calls: readonly GraphCall[];
  /** Where the graph may be cut, in order; empty: nowhere. */
  readonly stages: readonly GraphStage[];
}

/** An operand of `GraphBuilder.call`: a value's name, or one that the call adds to. */
export type CallOperand = string | { readonly add: string };

/** Builds a graph call by call and refuses shapes that do not fit at once. */
export class GraphBuilder {
  readonly #values = new Map<string, GraphValue>();
  readonly #calls: GraphCall[] = [];
  readonly #stages: GraphStage[] = [];

  /** Declares a value; returns its name. */
  value(
    name: string,
    shape: readonly GraphDim[],
    dtype: DType,
    options: { origin?: Origin; gradient?: DType } = {},
  ): string {
    invariant(!this.#values.has(name), `graph value ${name} is declared twice`);
    const origin = options.origin ?? { kind: "temporary" };
    this.#values.set(name, { name, shape, dtype, gradient: options.gradient ?? "f32", origin });
    return name;
  }

  /** Another shape of the same storage. */
  view(of: string, name: string, shape: readonly GraphDim[]): string {
    const base = this.get(of);
    invariant(
      sizeAt(base.shape, 2) === sizeAt(shape, 2),
      `view ${name} of ${of} changes the number of elements`,
    );
    return this.value(name, shape, base.dtype, { origin: { kind: "view", of }, gradient: base.gradient });
  }

  get(name: string): GraphValue {
    const value = this.#values.get(name);
    invariant(value, `graph value ${name} does not exist`);
    return value;
  }

  /** Appends a typed call; shapes are checked with two micro-batch sizes. */
  call<Name extends OpName>(
    op: Name,
    operands: Partial<Record<OperandNames<Name>, CallOperand>>,
    ...[attributes]: keyof AttributesOf<Name> extends never ? [] : [AttributesOf<Name>]
  ): void {
    const resolved: Record<string, GraphOperand> = {};
    for (const [name, operand] of Object.entries(operands) as [string, CallOperand][]) {
      resolved[name] =
        typeof operand === "string"
          ? { value: operand, accumulate: false }
          : { value: operand.add, accumulate: true };
    }
    this.append({ op, operands: resolved, attributes: { ...attributes } });
  }

  append(call: GraphCall): void {
    for (const batch of [1, 3]) {
      const bound = Object.fromEntries(
        Object.entries(call.operands).map(([name, { value, accumulate }]) => {
          const { shape, dtype } = this.get(value);
          const declared = findOp(call.op)?.operands[name]?.shape.length;
          return [name, { shape: flattenTo(concreteShape(shape, batch), declared), dtype, accumulate }];
        }),
      );
      const { problems } = bindDims(findOp(call.op)!, bound);
      invariant(problems.length === 0, `graph call ${call.op}: ${problems.join("; ")}`);
    }
    this.#calls.push(call);
  }

  /** Everything since the last stage can run by itself and hands on nothing but `output`. */
  stage(name: string, output: string): void {
    this.#stages.push({ name, end: this.#calls.length, output });
  }

  finish(): Graph {
    return {
      values: Object.fromEntries(this.#values),
      calls: [...this.#calls],
      stages: [...this.#stages],
    };
  }
}

/** The shape for a given micro-batch. */
export function concreteShape(shape: readonly GraphDim[], batch: number): number[] {
  return shape.map((dim) => (dim === "B" ? batch : dim));
}

/** Element-wise ops take any dense tensor as one flat axis. */
export function flattenTo(shape: readonly number[], rank: number | undefined): readonly number[] {
  return rank === 1 && shape.length !== 1 ? [shape.reduce((a, b) => a * b, 1)] : shape;
}

/** The value that owns the storage of `name`, following views. */
export function storageOf(graph: { values: Readonly<Record<string, GraphValue>> }, name: string): GraphValue {
  const value = graph.values[name];
  invariant(value, `graph value ${name} does not exist`);
  return value.origin.kind === "view" ? storageOf(graph, value.origin.of) : value;
}

function sizeAt(shape: readonly GraphDim[], batch: number): number {
  return concreteShape(shape, batch).reduce((a, b) => a * b, 1);
}
