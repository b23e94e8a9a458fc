/**
 * Deterministic event simulation of one part of a program: each lane runs its instructions in order, an instruction
 * starts when its lane is free and its waits are over. Waits inside a procedure are taken at its start.
 */
import type { Instruction, LaneName } from "../../schemas/plan.ts";

export interface Timed {
  readonly instruction: Instruction;
  readonly start: number;
  readonly end: number;
  /** What it waited for beyond its own lane, and for how long. */
  readonly stall: { readonly cause: string; readonly ns: number } | null;
}

export interface LaneTime {
  readonly lane: LaneName;
  readonly busy: number;
  readonly stalled: number;
}

export interface Simulation {
  readonly timeline: readonly Timed[];
  readonly duration: number;
  readonly lanes: readonly LaneTime[];
}

const LANES: readonly LaneName[] = ["disk", "h2d", "compute", "d2h", "host"];

export function simulate(
  instructions: readonly Instruction[],
  durationOf: (instruction: Instruction) => number,
): Simulation {
  const ends = new Map<string, number>();
  const free = new Map<LaneName, number>();
  const timeline = instructions.map((instruction): Timed => {
    const laneFree = free.get(instruction.lane) ?? 0;
    let start = laneFree;
    let cause: string | null = null;
    for (const { on } of instruction.waits) {
      const end = ends.get(on) ?? 0;
      if (end > start) [start, cause] = [end, on];
    }
    const end = start + Math.round(durationOf(instruction));
    ends.set(instruction.id, end);
    free.set(instruction.lane, end);
    return { instruction, start, end, stall: cause === null ? null : { cause, ns: start - laneFree } };
  });
  const lanes = LANES.flatMap((lane): LaneTime[] => {
    const own = timeline.filter(({ instruction }) => instruction.lane === lane);
    if (own.length === 0) return [];
    const busy = own.reduce((sum, { start, end }) => sum + end - start, 0);
    return [{ lane, busy, stalled: own.reduce((sum, { stall }) => sum + (stall?.ns ?? 0), 0) }];
  });
  return { timeline, duration: Math.max(0, ...timeline.map(({ end }) => end)), lanes };
}
