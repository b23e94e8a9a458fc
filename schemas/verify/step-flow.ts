/**
 * Who feeds whom inside one steady part, read off the bytes: an instruction depends on those that wrote what it reads.
 *
 * No id is interpreted. An instruction is
 * - `embed` when it gathers rows of a file or runs a unit of kind embedding;
 * - `forward` or `backward` when it runs a unit: backward when one of its calls is an op that exists only as
 *   somebody's derivative, which is found out by asking every op's backward rule what it emits;
 * - `plain` otherwise: copies, conversions, fills, reductions. Plain instructions hand on what they were fed.
 * Micro-batches are told by the step inputs: whoever reads the m-th slice of one works on micro-batch m, and so does
 * whoever reads what it wrote, directly or copied. Reading an input whole, as the rope tables of all positions may, says nothing.
 * Bytes of adapter parameters and their gradients are left out: they tie micro-batches and steps together on purpose
 * and are followed by the optimizer check.
 */
import { tensorBytes } from "../ops/define-op.ts";
import { ops } from "../ops/index.ts";
import type { PlanUnit, ProgramName } from "../plan.ts";
import { type Interval, mergeIntervals, totalBytes } from "./intervals.ts";
import { Memory, type Use } from "./memory.ts";
import type { PlanIndex, Step } from "./plan-index.ts";

export interface FlowNode {
  readonly step: Step;
  readonly role: "embed" | "forward" | "backward" | "plain";
  readonly unit: PlanUnit | null;
  /** The nodes with a role that feed it, directly or through plain ones. */
  readonly sources: ReadonlySet<FlowNode>;
  /** Micro-batches whose slices of step inputs it reads itself. */
  readonly slices: ReadonlySet<number>;
  /** Micro-batches that its data belongs to. */
  readonly microBatches: ReadonlySet<number>;
}

/** The nodes of a program's steady part in serial order, after the prologues that precede it in a run. */
export function stepFlow(index: PlanIndex, program: ProgramName): FlowNode[] {
  const memory = new Memory(index);
  const derivatives = derivativeOps();
  const parameters = index.owners;
  const isParameter = ({ buffer, start, end }: Use) => {
    if (!parameters.knows(buffer)) return false;
    const base = index.buffer(buffer).offset;
    return parameters.within(buffer, start - base, end - base).length > 0;
  };
  const nodes = new Map<number, FlowNode>();
  const slices = new InputSlices(index);
  const before = new Set([...index.part(index.cycle, "prologue"), ...index.part(program, "prologue")]);
  for (const step of before) memory.execute(step, null);
  for (const step of index.part(program, "steady")) {
    const feeders = new Set<number>();
    const inputs = new Map<string, Interval[]>();
    const ordinal = memory.execute(step, (use) => {
      if (!use.content || isParameter(use)) return;
      feeders.add(use.content.writer);
      const { input } = use.content;
      if (input) {
        const range = { start: use.start + input.delta, end: use.end + input.delta };
        inputs.set(input.name, [...(inputs.get(input.name) ?? []), range]);
      }
    });
    const role = roleOf(index, step, derivatives);
    const sources = new Set<FlowNode>();
    const own = new Set(slices.of(inputs));
    const microBatches = new Set(own);
    for (const feeder of feeders) {
      const node = nodes.get(feeder);
      if (!node) continue;
      for (const source of node.role === "plain" ? node.sources : [node]) sources.add(source);
      for (const microBatch of node.microBatches) microBatches.add(microBatch);
    }
    const { instruction } = step;
    const unit =
      instruction.kind === "run" && instruction.unit !== null ? index.unit(instruction.unit) : null;
    nodes.set(ordinal, { step, role, unit, sources, slices: own, microBatches });
  }
  return [...nodes.values()];
}

function roleOf(index: PlanIndex, { instruction }: Step, derivatives: ReadonlySet<string>): FlowNode["role"] {
  if (instruction.kind === "gather") return "embed";
  if (instruction.kind !== "run" || instruction.unit === null) return "plain";
  if (index.unit(instruction.unit).kind === "embedding") return "embed";
  const { calls } = index.procedure(instruction.procedure);
  return calls.some(({ op }) => derivatives.has(op)) ? "backward" : "forward";
}

/** Ops that backward rules emit and that have no backward themselves: they occur in no forward pass. */
function derivativeOps(): Set<string> {
  const emitted = new Set<string>();
  for (const op of ops) {
    op.backward?.({
      attributes: Object.fromEntries(Object.keys(op.attributes).map((name) => [name, 1])),
      value: (operand) => operand,
      gradient: (operand) => operand,
      gradientLikeOutput: (operand) => operand,
      needs: () => true,
      into: (operand) => ({ gradientOf: operand }),
      emit: (name) => emitted.add(name),
      pass: () => {},
    });
  }
  return new Set(ops.filter(({ name, backward }) => emitted.has(name) && !backward).map(({ name }) => name));
}

/** The inputs that have a row for every sequence of the step, cut into micro-batches. */
class InputSlices {
  readonly #inputs: ReadonlyMap<string, { readonly bytes: number; readonly slice: number }>;

  constructor({ plan }: PlanIndex) {
    const sequences = plan.shape.micro_batch * plan.shape.micro_batches;
    this.#inputs = new Map(
      plan.step_inputs
        .filter(({ shape }) => shape.length > 1 && shape[0] === sequences)
        .map(({ name, shape, dtype }) => {
          const bytes = tensorBytes(shape, dtype);
          return [name, { bytes, slice: bytes / plan.shape.micro_batches }];
        }),
    );
  }

  /** Micro-batches whose slices are read, by input name. */
  of(read: ReadonlyMap<string, readonly Interval[]>): number[] {
    return [...read].flatMap(([name, intervals]) => {
      const input = this.#inputs.get(name);
      const merged = mergeIntervals(intervals);
      // One micro-batch is the whole input; of several the whole says nothing.
      if (!input || (totalBytes(merged) === input.bytes && input.slice < input.bytes)) return [];
      return merged.flatMap(({ start, end }) => {
        const first = Math.floor(start / input.slice);
        const last = Math.floor((end - 1) / input.slice);
        return Array.from({ length: last - first + 1 }, (_, i) => first + i);
      });
    });
  }
}
