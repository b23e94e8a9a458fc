/**
 * The binding constraint of an instruction: the one thing that, were it over sooner, would let it start sooner; and how
 * much later it could end before the step took longer.
 *
 * Both are critical-path quantities of the predicted timeline (Kelley and Walker, "Critical-path planning and
 * scheduling", 1959): starts by a pass forward, slack by a pass backward.
 */
import type { Simulation, Timed } from "../../planner/simulate/simulate.ts";
import type { Instruction, LaneName } from "../../schemas/plan.ts";

export type Binding =
  /** It starts with the step. */
  | { readonly kind: "start" }
  /** Its lane is busy with this instruction until then. */
  | { readonly kind: "lane"; readonly on: string }
  /** It waits for another lane's instruction. */
  | { readonly kind: "wait"; readonly on: string; readonly ns: number };

/** What decides the start of each instruction, in the timeline's order. */
export function bindings({ timeline }: Simulation): readonly Binding[] {
  const before = new Map<LaneName, string>();
  return timeline.map(({ instruction: { id, lane }, start, stall }): Binding => {
    const previous = before.get(lane);
    before.set(lane, id);
    if (stall !== null) return { kind: "wait", on: stall.cause, ns: stall.ns };
    return previous === undefined || start === 0 ? { kind: "start" } : { kind: "lane", on: previous };
  });
}

/** The chain of binding constraints that ends with `id`, the step's start first. */
export function bindingChain(simulation: Simulation, id: string): readonly Timed[] {
  const decides = bindings(simulation);
  const indexOf = new Map(simulation.timeline.map(({ instruction }, index) => [instruction.id, index]));
  const chain: Timed[] = [];
  let index = indexOf.get(id);
  while (index !== undefined) {
    chain.push(simulation.timeline[index]!);
    const binding: Binding = decides[index]!;
    index = binding.kind === "start" ? undefined : indexOf.get(binding.on);
  }
  return chain.reverse();
}

/** Nanoseconds by which each instruction may end later without a longer step; 0 on the critical path. */
export function slacks({ timeline, duration }: Simulation): ReadonlyMap<string, number> {
  const latestEnd = new Map<string, number>();
  const nextOnLane = new Map<LaneName, number>();
  const slack = new Map<string, number>();
  for (const { instruction, start, end } of timeline.toReversed()) {
    const { id, lane } = instruction;
    const latest = Math.min(latestEnd.get(id) ?? duration, nextOnLane.get(lane) ?? duration);
    const latestStart = latest - (end - start);
    slack.set(id, latest - end);
    nextOnLane.set(lane, latestStart);
    for (const { on } of instruction.waits) {
      latestEnd.set(on, Math.min(latestEnd.get(on) ?? duration, latestStart));
    }
  }
  return slack;
}

/** Consecutive instructions of one lane. */
export interface ChainPart {
  readonly lane: LaneName;
  readonly first: Instruction["id"];
  readonly last: Instruction["id"];
  readonly count: number;
  readonly ns: number;
}

export function chainParts(chain: readonly Timed[]): readonly ChainPart[] {
  const parts: ChainPart[] = [];
  for (const { instruction, start, end } of chain) {
    const current = parts.at(-1);
    if (current?.lane === instruction.lane) {
      const { count, ns } = current;
      parts[parts.length - 1] = { ...current, last: instruction.id, count: count + 1, ns: ns + end - start };
    } else {
      const { id, lane } = instruction;
      parts.push({ lane, first: id, last: id, count: 1, ns: end - start });
    }
  }
  return parts;
}
