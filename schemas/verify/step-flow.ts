/**
 * Who feeds whom inside one steady part, read off the bytes: an instruction depends on those that wrote what it reads.
 *
 * No id is interpreted. An instruction is
 * - `embed` when it gathers rows of a file or runs a unit of kind embedding; the n-th one starts micro-batch n;
 * - `forward` or `backward` when it runs a unit: backward when one of its calls is an op that exists only as
 *   somebody's derivative, which is found out by asking every op's backward rule what it emits;
 * - `plain` otherwise: copies, conversions, fills, reductions. Plain instructions hand on what they were fed.
 * Bytes of adapter parameters and their gradients are left out: they tie micro-batches and steps together on purpose
 * and are followed by the optimizer check.
 */
import { ops } from "../ops/index.ts";
import type { PlanUnit, ProgramName } from "../plan.ts";
import { host, Memory } from "./memory.ts";
import { ParameterMap } from "./parameter-map.ts";
import type { ArenaRange, PlanIndex, Step } from "./plan-index.ts";

export interface FlowNode {
  readonly step: Step;
  readonly role: "embed" | "forward" | "backward" | "plain";
  readonly unit: PlanUnit | null;
  /** The nodes with a role that feed it, directly or through plain ones. */
  readonly sources: ReadonlySet<FlowNode>;
  /** Micro-batches that its data belongs to. */
  readonly microBatches: ReadonlySet<number>;
  /** Bytes of step inputs that it reads. */
  readonly inputs: readonly ArenaRange[];
}

/** The nodes of a program's steady part in serial order, after the prologues that precede it in a run. */
export function stepFlow(index: PlanIndex, program: ProgramName): FlowNode[] {
  const memory = new Memory(index);
  const derivatives = derivativeOps();
  const parameters = new ParameterMap(index.plan);
  const nodes = new Map<number, FlowNode>();
  let embeds = 0;
  const before = new Set([...index.part("train-step", "prologue"), ...index.part(program, "prologue")]);
  for (const step of before) memory.execute(step, () => {});
  for (const step of index.part(program, "steady")) {
    const feeders = new Set<number>();
    const inputs: ArenaRange[] = [];
    const ordinal = memory.execute(step, (use) => {
      const base = index.buffer(use.buffer).offset;
      if (parameters.within(use.buffer, use.start - base, use.end - base).length > 0) return;
      if (use.content?.writer === host) inputs.push(use);
      else if (use.content) feeders.add(use.content.writer);
    });
    const role = roleOf(index, step, derivatives);
    const sources = new Set<FlowNode>();
    for (const feeder of feeders) {
      const node = nodes.get(feeder);
      if (node?.role === "plain") for (const source of node.sources) sources.add(source);
      else if (node) sources.add(node);
    }
    const microBatches =
      role === "embed"
        ? new Set([embeds++])
        : new Set([...sources].flatMap((source) => [...source.microBatches]));
    const { instruction } = step;
    const unit =
      instruction.kind === "run" && instruction.unit !== null ? index.unit(instruction.unit) : null;
    nodes.set(ordinal, { step, role, unit, sources, microBatches, inputs });
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
      needs: () => true,
      into: (operand) => ({ gradientOf: operand }),
      emit: (name) => emitted.add(name),
      pass: () => {},
    });
  }
  return new Set(ops.filter(({ name, backward }) => emitted.has(name) && !backward).map(({ name }) => name));
}
