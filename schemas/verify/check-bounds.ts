/**
 * Traffic. `moved` is the sum of the steady part's instructions on the link; `bound` must follow from the touches of
 * the compute lane and the bytes of the slots, so the plan cannot claim to be closer to the optimum than it is.
 *
 * - Touches: the units of the steady part's runs, in serial order, each with the bytes of its parts.
 * - Capacity when a touch begins: every byte in which weights may wait then: buffers alive that hold weights, or that a
 *   read or a copy of weights fills; those of the compute tier for a copy link, of all tiers for the disk. From disk,
 *   what a stretch touches is in vram by the last copy of weights before its last touch, so the next stretch may begin
 *   with that copy or any later one: whatever it touches was in memory then or is read since, and the bytes of that copy
 *   are there twice.
 * - A certificate of proof `windows` lists disjoint stretches "start-end@capacity" (half-open, counted in touches of
 *   the endlessly repeated step). One may begin with the touch that another ends with, except from disk where weights are
 *   copied on to vram. Stretches that do not fit on the circle of one step are taken on that of two, and then prove half
 *   their sum per step.
 * - What cannot be avoided by any capacity (see `unavoidable`) may be added to the bound.
 */
import type { Instruction, Plan, ProgramName } from "../plan.ts";
import { defineCheck } from "./check.ts";
import { intersects } from "./intervals.ts";
import { host, Memory, type Use } from "./memory.ts";
import { worstCasePagedRows } from "./paged-row.ts";
import type { PlanIndex, Step } from "./plan-index.ts";
import { bestBound, disjointOnCircle, type Touch, type Window, windowBound } from "./traffic-bound.ts";

type Bound = Plan["bounds"][number];
type Link = Bound["link"];

export const checkBounds = defineCheck({
  name: "bounds",
  proves:
    "Moved bytes are those of the instructions, and every lower bound is proved by touches and capacities.",
  codes: ["verify.bound"],
  run(index, report) {
    const { bounds } = index.plan;
    const roundTripsOf = new Map(index.programNames.map((program) => [program, roundTrips(index, program)]));
    bounds.forEach((bound, i) => {
      const where = `${bound.link} of ${bound.program}`;
      const wrong = (text: string) => report("verify.bound", `bounds[${i}]`, `${where}: ${text}`);
      const moved = movedBytes(index, bound.program, bound.link);
      if (moved !== bound.moved) wrong(`moves ${moved} bytes, not ${bound.moved}`);
      if (bound.bound > moved) wrong(`a bound of ${bound.bound} bytes is above what is moved`);
      const spared = roundTripsOf.get(bound.program)!;
      const proved = provedBound(index, bound, wrong) + unavoidable(index, bound.program, bound.link, spared);
      if (bound.bound > proved) wrong(`${bound.bound} bytes are claimed, ${proved} are proved`);
      const gap = gapPpm(moved, bound.bound);
      if (gap !== bound.gap_ppm) wrong(`the gap is ${gap} ppm, not ${bound.gap_ppm}`);
      if (bounds.findIndex(({ link, program }) => link === bound.link && program === bound.program) !== i) {
        wrong("is bounded twice");
      }
    });
    for (const program of index.programNames) {
      for (const link of ["disk", "h2d", "d2h"] as const) {
        const stated = bounds.some((bound) => bound.link === link && bound.program === program);
        if (!stated && movedBytes(index, program, link) > 0) {
          report("verify.bound", "bounds", `${link} of ${program} moves bytes without a bound`);
        }
      }
    }
  },
});

export function movedBytes(index: PlanIndex, program: ProgramName, link: Link): number {
  return index
    .part(program, "steady")
    .reduce((sum, { instruction }) => sum + (instruction.lane === link ? instruction.bytes : 0), 0);
}

/** ⌊(moved − bound) · 10⁶ / max(bound, 1)⌋, exactly, and no more than an integer of JSON holds. */
export function gapPpm(moved: number, bound: number): number {
  const exact = (BigInt(moved - bound) * 1_000_000n) / BigInt(Math.max(bound, 1));
  return Math.min(Number(exact), Number.MAX_SAFE_INTEGER);
}

function provedBound(index: PlanIndex, bound: Bound, wrong: (text: string) => void): number {
  // Weights are never written back.
  if (bound.link === "d2h") return 0;
  const touches = touchesOf(index, bound.program, bound.link);
  const meet = bound.link !== "disk" || !copiesWeights(index, bound.program);
  if (bound.proof !== "windows") return bestBound(touches, meet);
  const windows = parseWindows(bound.certificate.windows);
  if (!windows) {
    wrong("the certificate has no readable windows");
    return 0;
  }
  if (touches.length === 0) return 0;
  for (const { start, capacity } of windows) {
    const { capacity: actual } = touches[start % touches.length]!;
    if (capacity !== actual) wrong(`at touch ${start} the places hold ${actual} bytes, not ${capacity}`);
  }
  const sum = windows.reduce((total, window) => total + windowBound(touches, window), 0);
  if (disjointOnCircle(windows, touches.length, meet)) return sum;
  if (disjointOnCircle(windows, 2 * touches.length, meet)) return Math.ceil(sum / 2);
  wrong("the windows of the certificate overlap");
  return 0;
}

function copiesWeights(index: PlanIndex, program: ProgramName): boolean {
  return index
    .part(program, "steady")
    .some(({ instruction }) => instruction.kind === "copy" && instruction.unit !== null);
}

interface CertifiedWindow extends Window {
  readonly capacity: number;
}

function parseWindows(value: Bound["certificate"][string] | undefined): CertifiedWindow[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const windows = value.map((text) => {
    const [, start, end, capacity] = /^(\d{1,9})-(\d{1,9})@(\d{1,15})$/.exec(text) ?? [];
    return { start: Number(start), end: Number(end), capacity: Number(capacity) };
  });
  return windows.every(({ start, end }) => start < end) ? windows : undefined;
}

function touchesOf(index: PlanIndex, program: ProgramName, link: Link): Touch[] {
  const steps = index.part(program, "steady");
  const capacity = capacities(index, program, link);
  return steps.flatMap(({ instruction }, i) => {
    if (instruction.kind !== "run" || instruction.unit === null) return [];
    const { id, parts } = index.unit(instruction.unit);
    return [{ unit: id, bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0), capacity: capacity[i]! }];
  });
}

/** What memory before the link can hold when each instruction of the steady part begins. */
function capacities(index: PlanIndex, program: ProgramName, link: Link): number[] {
  const steps = index.part(program, "steady");
  const { buffers, shape } = index.plan;
  const filled = new Set(index.steps.flatMap(({ instruction }) => filledSlots(instruction)));
  const places = buffers
    .filter(({ id, holds }) => holds === "weights" || filled.has(id))
    .filter(({ arena }) => link === "disk" || arena === shape.compute_arena);
  // By how many bytes more are alive at each step than at the one before.
  const change = new Float64Array(steps.length + 1);
  const begin = steps[0]?.position ?? 0;
  const within = (position: number) => Math.min(Math.max(position - begin, 0), steps.length);
  for (const { lifetime: life, bytes } of places) {
    if (life && life.program !== program) continue;
    const [from, to] = life ? [within(life.start), within(life.end)] : [0, steps.length];
    if (from >= to) continue;
    change[from]! += bytes;
    change[to]! -= bytes;
  }
  let sum = 0;
  const alive = steps.map((_, i) => {
    sum += change[i]!;
    return sum;
  });
  if (link !== "disk") return alive;
  return atCopies(steps, alive);
}

/** Least of what memory holds at a run, and at each copy since the last one before the run before it, over the cycle. */
function atCopies(steps: readonly Step[], alive: readonly number[]): number[] {
  const holding = steps.map(({ instruction }, i) =>
    instruction.kind === "copy" && instruction.unit !== null ? alive[i]! - instruction.bytes : null,
  );
  const touches = steps.map(({ instruction }) => instruction.kind === "run" && instruction.unit !== null);
  /** The least since the last copy before the last touch, and what that copy left. */
  let least = Number.POSITIVE_INFINITY;
  let last = Number.POSITIVE_INFINITY;
  const found = [...alive];
  // The first time around finds what the cycle before leaves.
  for (const round of [0, 1]) {
    for (const [i, held] of holding.entries()) {
      if (held !== null) {
        last = held;
        least = Math.min(least, held);
      }
      if (!touches[i]) continue;
      if (round === 1) found[i] = Math.min(alive[i]!, least);
      least = last;
    }
  }
  return found;
}

function filledSlots(instruction: Instruction): string[] {
  if (instruction.kind === "read") return instruction.segments.map(({ to }) => to.buffer);
  return instruction.kind === "copy" && instruction.unit !== null ? [instruction.to.buffer] : [];
}

/**
 * What no memory could save: the pages of the rows that a micro-batch asks for at worst, whose place the next one's take;
 * the files of a checkpoint; and data other than weights that has to change tier: towards the compute tier what does not
 * come from there (step inputs, rows, adapters updated by the host), away from it what is not just brought back (results,
 * gradients). What is put aside for a while crosses twice, and could have been spared that if its place in vram lives on
 * until it comes back.
 */
function unavoidable(index: PlanIndex, program: ProgramName, link: Link, spared: ReadonlySet<Step>): number {
  const steps = index.part(program, "steady");
  if (link === "disk") return steps.reduce((sum, { instruction }) => sum + ownTraffic(instruction), 0);
  return steps
    .filter((step) => step.instruction.lane === link && !spared.has(step))
    .reduce((sum, { instruction }) => {
      return instruction.kind === "copy" && instruction.unit === null ? sum + instruction.bytes : sum;
    }, 0);
}

/** Copies out of vram and back that could have been spared. */
function roundTrips(index: PlanIndex, program: ProgramName): ReadonlySet<Step> {
  const steps = index.part(program, "steady");
  const copies = steps.flatMap(({ instruction }) => (instruction.kind === "copy" ? [instruction] : []));
  const brought = copies.flatMap(({ lane, from, bytes }) =>
    lane === "h2d" ? [index.locate(from, bytes)] : [],
  );
  const left = copies.flatMap(({ lane, to, bytes }) => (lane === "d2h" ? [index.locate(to, bytes)] : []));
  const found = new Set<Step>();
  // Where nothing is copied back from bytes that a copy filled, there is nothing to follow.
  if (!left.some((a) => brought.some((b) => intersects(a, b)))) return found;
  const memory = new Memory(index);
  const writers = new Map<number, Step>();
  for (const step of steps) {
    const { kind, lane } = step.instruction;
    const comesBack = ({ content }: Use) => {
      const source = writers.get(content?.writer ?? host);
      if (source && couldHaveStayed(index, source, step)) found.add(step).add(source);
    };
    const ordinal = memory.execute(step, kind === "copy" && lane === "h2d" ? comesBack : null);
    writers.set(ordinal, step);
  }
  return found;
}

/** Whether the place that `going` copies from still lives when the place that `back` copies to begins to. */
function couldHaveStayed(index: PlanIndex, going: Step, back: Step): boolean {
  const [from, to] = [going.instruction, back.instruction];
  if (from.kind !== "copy" || from.lane !== "d2h" || to.kind !== "copy" || to.lane !== "h2d") return false;
  const left = index.buffer(from.from.buffer).lifetime;
  const returned = index.buffer(to.to.buffer).lifetime;
  return !left || !returned || left.end > returned.start;
}

function ownTraffic(instruction: Instruction): number {
  if (instruction.kind === "write") return instruction.bytes;
  if (instruction.kind !== "gather") return 0;
  return worstCasePagedRows(instruction, instruction.indices.bytes / 4);
}
