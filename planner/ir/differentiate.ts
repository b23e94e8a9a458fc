/**
 * Reverse-mode differentiation of a graph at compile time (Griewank & Walther 2008, chapter 3): walks the calls
 * backwards and lets each op's own rule emit its gradient calls.
 *
 * Conventions: `grad` comes in as the gradient of the output and leaves as the gradient of the input, in place, as the
 * residual stream's gradient does; parameter gradients `d/NAME` are added to, across micro-batches.
 *
 * Invariant: when the walk reaches a call, the gradients of its outputs are complete, since every reader of a value
 * stands after its writer.
 */
import { invariant } from "../../schemas/diagnostic.ts";
import {
  type Graph,
  type GraphCall,
  type GraphDim,
  type GraphOperand,
  type GraphValue,
  storageOf,
} from "../../schemas/graph.ts";
import type { GradientTarget, ValueId } from "../../schemas/ops/define-op.ts";
import { findOp, getOp, type OpName } from "../../schemas/ops/index.ts";

/** Name of the value that carries the output's gradient in and the input's gradient out. */
export const STREAM_GRADIENT = "grad";

export interface Differentiated {
  /** Forward values, and gradients beside them. */
  readonly values: Readonly<Record<string, GraphValue>>;
  /** The forward calls whose results the backward calls read: what recomputation has to run. */
  readonly recompute: readonly GraphCall[];
  readonly backward: readonly GraphCall[];
}

/** Gradient value of a parameter, `d/q_proj.lora_A`. */
export function gradientName(value: string): string {
  return `d/${value}`;
}

/** Differentiates `output` with respect to `input` and to all parameters of the graph. */
export function differentiate(graph: Graph, ends: { input: string; output: string }): Differentiated {
  const tape = new Tape(graph, ends);
  for (const call of graph.calls.toReversed()) tape.reverse(call);
  const backward = tape.finish();
  return {
    values: Object.fromEntries(tape.values),
    recompute: neededCalls(graph, tape.values, backward),
    backward,
  };
}

class Tape {
  readonly values: Map<string, GraphValue>;
  readonly #ends: { input: string; output: string };
  readonly #calls: GraphCall[] = [];
  /** Storage name → value that holds its gradient so far. */
  readonly #gradients = new Map<string, string>();
  readonly #differentiable: ReadonlySet<string>;

  constructor(graph: Graph, ends: { input: string; output: string }) {
    this.#ends = ends;
    this.values = new Map(Object.entries(graph.values));
    this.#differentiable = reachable(graph, ends.input);
    const output = this.#storage(ends.output);
    this.#declare(STREAM_GRADIENT, output.shape, "f32");
    this.#gradients.set(output.name, STREAM_GRADIENT);
  }

  reverse(call: GraphCall): void {
    const op = getOp(call.op);
    const outputs = Object.keys(call.operands).filter((name) => op.operands[name]!.access !== "read");
    const alive = outputs.some((name) => this.#gradients.has(this.#storage(call.operands[name]!.value).name));
    const wanted = Object.values(call.operands).some(({ value }) =>
      this.#differentiable.has(this.#storage(value).name),
    );
    if (!alive || !wanted) return;
    invariant(op.backward, `${call.op} stands on the way of a gradient but has no backward rule`);
    const operand = (name: string): GraphOperand => {
      const bound = call.operands[name];
      invariant(bound, `${call.op} has no operand ${name}`);
      return bound;
    };
    op.backward({
      attributes: call.attributes,
      value: (name) => operand(name).value,
      gradient: (name) => this.#gradientView(operand(name).value),
      gradientLikeOutput: (name) => this.#gradientIn(operand(name).value),
      needs: (name) => this.#differentiable.has(this.#storage(operand(name).value).name),
      into: (name) => ({ gradientOf: operand(name).value }),
      emit: (name, operands, attributes) => this.#emit(name, operands, attributes ?? {}),
      pass: (from, to) => this.#pass(operand(from).value, operand(to).value),
    });
  }

  finish(): readonly GraphCall[] {
    const result = this.#gradients.get(this.#storage(this.#ends.input).name);
    invariant(result !== undefined, "the input does not influence the output");
    if (result !== STREAM_GRADIENT) this.#copy(result, STREAM_GRADIENT, false);
    return this.#calls;
  }

  #emit(
    name: string,
    operands: Readonly<Record<string, ValueId | GradientTarget>>,
    attributes: Record<string, number>,
  ): void {
    const op = findOp(name);
    invariant(op, `a backward rule emits the unknown op ${name}`);
    const resolved: Record<string, GraphOperand> = {};
    const sums: { from: string; to: string }[] = [];
    for (const [operand, bound] of Object.entries(operands)) {
      if (typeof bound === "string") {
        resolved[operand] = { value: bound, accumulate: false };
        continue;
      }
      const declared = op.operands[operand]!;
      const storage = this.#storage(bound.gradientOf);
      const fresh = !this.#gradients.has(storage.name);
      const gradient = this.#gradientView(bound.gradientOf);
      if (fresh || declared.access === "update") {
        const adds = storage.origin.kind === "parameter" && declared.access !== "update";
        resolved[operand] = { value: gradient, accumulate: adds };
      } else if (declared.accumulable) {
        resolved[operand] = { value: gradient, accumulate: true };
      } else {
        const part = this.#temporary(gradient);
        resolved[operand] = { value: part, accumulate: false };
        sums.push({ from: part, to: gradient });
      }
    }
    this.#calls.push({ op: op.name, operands: resolved, attributes });
    for (const { from, to } of sums) this.#copy(from, to, true);
  }

  #pass(from: string, to: string): void {
    const source = this.#gradients.get(this.#storage(from).name)!;
    const target = this.#storage(to).name;
    if (this.#gradients.has(target)) this.#copy(source, this.#gradients.get(target)!, true);
    // Sharing is safe: `from` has one writer, whose backward rule is running, so nobody reads its gradient later.
    else this.#gradients.set(target, source);
  }

  #copy(from: string, to: string, accumulate: boolean): void {
    this.#calls.push({
      op: "convert" satisfies OpName,
      operands: { x: { value: from, accumulate: false }, y: { value: to, accumulate } },
      attributes: {},
    });
  }

  /** The gradient of a value under the value's own shape, declared at its first use. */
  #gradientView(name: string): string {
    const value = this.values.get(name)!;
    const storage = this.#storage(name);
    let gradient = this.#gradients.get(storage.name);
    if (gradient === undefined) {
      gradient = this.#declare(
        gradientName(storage.name),
        storage.shape,
        storage.gradient,
        storage.origin.kind === "parameter",
      );
      this.#gradients.set(storage.name, gradient);
    }
    if (value.name === storage.name) return gradient;
    const view = gradientName(name);
    if (!this.values.has(view)) {
      const { dtype } = this.values.get(gradient)!;
      this.values.set(view, {
        name: view,
        shape: value.shape,
        dtype,
        gradient: "f32",
        origin: { kind: "view", of: gradient },
      });
    }
    return view;
  }

  /** The gradient of a value in the value's own dtype. */
  #gradientIn(name: string): string {
    const { shape, dtype } = this.values.get(name)!;
    const gradient = this.#gradientView(name);
    if (this.values.get(gradient)!.dtype === dtype) return gradient;
    const rounded = this.#declare(`${gradientName(name)}.${dtype}`, shape, dtype);
    this.#copy(gradient, rounded, false);
    return rounded;
  }

  #temporary(like: string): string {
    const { shape, dtype } = this.values.get(like)!;
    let index = 2;
    while (this.values.has(`${like}#${index}`)) index++;
    return this.#declare(`${like}#${index}`, shape, dtype);
  }

  #declare(name: string, shape: readonly GraphDim[], dtype: GraphValue["dtype"], parameter = false): string {
    const kind = name === STREAM_GRADIENT ? "input" : parameter ? "gradient" : "temporary";
    this.values.set(name, { name, shape, dtype, gradient: "f32", origin: { kind } });
    return name;
  }

  #storage(name: string): GraphValue {
    const value = this.values.get(name);
    invariant(value, `graph value ${name} does not exist`);
    return value.origin.kind === "view" ? this.#storage(value.origin.of) : value;
  }
}

/** Storages through which a gradient may flow: the input, the parameters, and whatever is computed from them. */
function reachable(graph: Graph, input: string): ReadonlySet<string> {
  const found = new Set<string>([storageOf(graph, input).name]);
  for (const value of Object.values(graph.values))
    if (value.origin.kind === "parameter") found.add(value.name);
  for (const call of graph.calls) {
    const op = getOp(call.op);
    const names = Object.keys(call.operands);
    const storage = (operand: string) => storageOf(graph, call.operands[operand]!.value).name;
    if (!names.some((name) => op.operands[name]!.access !== "write" && found.has(storage(name)))) continue;
    for (const name of names) if (op.operands[name]!.access !== "read") found.add(storage(name));
  }
  return found;
}

/** Forward calls that produce, directly or not, what the backward calls read. */
function neededCalls(
  graph: Graph,
  values: ReadonlyMap<string, GraphValue>,
  backward: readonly GraphCall[],
): readonly GraphCall[] {
  const all = { values: Object.fromEntries(values) };
  const needed = new Set<string>();
  const want = (call: GraphCall) => {
    const op = getOp(call.op);
    for (const [name, { value, accumulate }] of Object.entries(call.operands)) {
      if (op.operands[name]!.access !== "write" || accumulate) needed.add(storageOf(all, value).name);
    }
  };
  for (const call of backward) want(call);
  const kept: GraphCall[] = [];
  for (const call of graph.calls.toReversed()) {
    const op = getOp(call.op);
    const produces = Object.entries(call.operands).some(
      ([name, { value }]) => op.operands[name]!.access !== "read" && needed.has(storageOf(all, value).name),
    );
    if (!produces) continue;
    kept.unshift(call);
    want(call);
  }
  return kept;
}
