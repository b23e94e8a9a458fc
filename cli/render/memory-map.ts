/**
 * What lives in which byte of which memory, and when, on the predicted timeline of one program's steady part.
 *
 * Invariant: two occupations of one arena that share bytes share no moment. A buffer with a lifetime counts from the
 * first start to the last end of the instructions that touch it; a weights slot is cut into pieces, one for each unit
 * that it holds, with the time of its loading apart.
 */
import type { Timed } from "../../planner/simulate/simulate.ts";
import { simulatePlan } from "../../planner/simulate/simulate-plan.ts";
import type { AnyPlan, ArenaName, Instruction, PlanBuffer, ProgramName } from "../../schemas/plan.ts";

/** Kinds of contents, in the order of a legend. */
export const HOLDINGS = [
  { id: "pinned", words: "weights, resident" },
  { id: "ring", words: "weights, in turns" },
  { id: "adapter", words: "adapter" },
  { id: "gradient", words: "gradients" },
  { id: "optimizer", words: "optimizer" },
  { id: "activation", words: "activations" },
  { id: "workspace", words: "workspace" },
  { id: "transfer", words: "staging, inputs" },
] as const;
export type Holding = (typeof HOLDINGS)[number]["id"];

export interface Occupation {
  readonly buffer: string;
  readonly arena: ArenaName;
  /** First byte in the arena. */
  readonly offset: number;
  readonly bytes: number;
  /** Nanoseconds from the step's start, [start, end). */
  readonly start: number;
  readonly end: number;
  readonly holding: Holding;
  /** The unit in a weights slot; null elsewhere. */
  readonly unit: string | null;
  /** The instruction that brings it, while it does; else null. */
  readonly loading: string | null;
}

export interface MemoryMap {
  readonly timeline: readonly Timed[];
  /** Nanoseconds. */
  readonly duration: number;
  readonly occupations: readonly Occupation[];
}

const HOLDING_OF: Readonly<Record<Exclude<PlanBuffer["holds"], "weights">, Holding>> = {
  staging: "transfer",
  adapter: "adapter",
  gradient: "gradient",
  optimizer: "optimizer",
  activation: "activation",
  cache: "activation",
  scratch: "workspace",
  input: "transfer",
  output: "transfer",
  constant: "transfer",
};

export function memoryMap(plan: AnyPlan, program: ProgramName): MemoryMap {
  const { timeline, duration } = simulatePlan(plan, program);
  const touched = touchedTimes(timeline);
  const loads = loadsBySlot(timeline);
  const residents = new Map(plan.residency.map(({ buffer, unit }) => [buffer, unit]));
  const occupations = plan.buffers.flatMap((buffer): Occupation[] => {
    const { id, arena, offset, bytes, holds, lifetime } = buffer;
    if (lifetime !== null && lifetime.program !== program) return [];
    const span = lifetime === null ? { start: 0, end: duration } : touched.get(id);
    if (span === undefined) return [];
    const whole = { buffer: id, arena, offset, bytes, ...span };
    if (holds !== "weights") {
      return [{ ...whole, holding: HOLDING_OF[holds], unit: null, loading: null }];
    }
    const resident = residents.get(id) ?? null;
    const own = loads.get(id);
    if (own === undefined) {
      // A slot that this program leaves alone still holds what it held.
      const holding = isSlot(plan, id) ? "ring" : "pinned";
      return resident === null ? [] : [{ ...whole, holding, unit: resident, loading: null }];
    }
    return turns(own, resident, span).map((turn) => ({ ...whole, holding: "ring", ...turn }));
  });
  return { timeline, duration, occupations };
}

/** Whether units take turns in a buffer in any program. */
function isSlot(plan: AnyPlan, buffer: string): boolean {
  return Object.values(plan.programs).some(({ steady }) =>
    steady.some((instruction) => loadTargets(instruction).includes(buffer)),
  );
}

/** What lives at one moment, by address. */
export function livingAt({ occupations }: MemoryMap, moment: number): readonly Occupation[] {
  return occupations
    .filter(({ start, end }) => start <= moment && moment < end)
    .sort((a, b) => a.offset - b.offset);
}

function touchedTimes(timeline: readonly Timed[]): ReadonlyMap<string, { start: number; end: number }> {
  const spans = new Map<string, { start: number; end: number }>();
  for (const { instruction, start, end } of timeline) {
    for (const { buffer } of [...instruction.reads, ...instruction.writes]) {
      const span = spans.get(buffer);
      if (span === undefined) spans.set(buffer, { start, end });
      else spans.set(buffer, { start: Math.min(span.start, start), end: Math.max(span.end, end) });
    }
  }
  return spans;
}

interface Load {
  readonly id: string;
  readonly unit: string;
  readonly start: number;
  readonly end: number;
}

function loadsBySlot(timeline: readonly Timed[]): ReadonlyMap<string, readonly Load[]> {
  const loads = new Map<string, Load[]>();
  for (const { instruction, start, end } of timeline) {
    for (const buffer of loadTargets(instruction)) {
      const load = { id: instruction.id, unit: unitOf(instruction) ?? "", start, end };
      loads.set(buffer, [...(loads.get(buffer) ?? []), load]);
    }
  }
  return loads;
}

function unitOf(instruction: Instruction): string | null {
  return "unit" in instruction ? instruction.unit : null;
}

/** The weights slots that an instruction fills. */
function loadTargets(instruction: Instruction): string[] {
  if (instruction.kind === "read") return [...new Set(instruction.segments.map(({ to }) => to.buffer))];
  return instruction.kind === "copy" && instruction.unit !== null ? [instruction.to.buffer] : [];
}

type Turn = Pick<Occupation, "start" | "end" | "unit" | "loading">;

function turns(
  loads: readonly Load[],
  resident: string | null,
  span: { start: number; end: number },
): Turn[] {
  const found: Turn[] = [];
  let [unit, since] = [resident, span.start];
  for (const { id, unit: next, start, end } of loads) {
    if (unit !== null && unit !== next) found.push({ start: since, end: start, unit, loading: null });
    // A unit that comes in several pieces is loading from the first to the last of them.
    found.push({ start: unit === next ? since : start, end, unit: next, loading: id });
    [unit, since] = [next, end];
  }
  if (unit !== null) found.push({ start: since, end: span.end, unit, loading: null });
  return found.filter(({ start, end }) => end > start);
}
