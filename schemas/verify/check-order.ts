/**
 * Happens-before. The lanes of one part run concurrently, each in serial order; a wait makes call `at` of an
 * instruction start after another instruction has ended. Between parts all lanes are drained, so each part is judged
 * by itself. Every pair of instructions on different lanes that touch a common byte, one of them writing, must be
 * ordered as the serial order has it, at the latest before the first call of the later one that touches such a byte.
 *
 * Order is kept as vector clocks: for each lane, the last of its instructions that is known to have ended. Per byte
 * range and lane the last reader and the last writer are enough, because a lane ends its instructions in order.
 * Waits point backwards in serial order, so there are no cycles.
 */
import type { ArenaName, LaneName } from "../plan.ts";
import { defineCheck, type Report } from "./check.ts";
import { type PlanIndex, partNames, type Step } from "./plan-index.ts";

const laneNames: readonly LaneName[] = ["disk", "h2d", "compute", "d2h", "host"];
const none = -1;
const never = Number.POSITIVE_INFINITY;

/**
 * What the instructions of a part touch, in serial order; one array a property, because a part has some ten thousand
 * touches.
 */
interface Touches {
  /** Where the touches of each instruction begin; one more than instructions. */
  readonly first: number[];
  readonly arena: ArenaName[];
  readonly start: number[];
  readonly end: number[];
  /** The first calls of the instruction that read and write it; infinite when none does. */
  readonly firstRead: number[];
  readonly firstWrite: number[];
}

export const checkOrder = defineCheck({
  name: "order",
  proves: "Waits point backwards, and every conflict between lanes is ordered by them.",
  codes: ["verify.wait", "verify.race"],
  run(index, report) {
    for (const program of index.programNames) {
      for (const part of partNames) {
        const steps = index.part(program, part);
        if (waitsAreSound(index, steps, report)) races(index, steps, report);
      }
    }
  },
});

function waitsAreSound(index: PlanIndex, steps: readonly Step[], report: Report<"verify.wait">): boolean {
  const before = new Set<string>();
  let sound = true;
  for (const { instruction, path } of steps) {
    const calls = instruction.kind === "run" ? index.procedure(instruction.procedure).calls.length : 1;
    for (const { on, at } of instruction.waits) {
      const wrong = (text: string) => {
        report("verify.wait", `${path}.waits`, `${instruction.id} ${text}`);
        sound = false;
      };
      if (!before.has(on)) wrong(`waits for ${on}, which does not come before it in this part`);
      if (at !== 0 && at >= calls) wrong(`waits before call ${at} of ${calls}`);
    }
    before.add(instruction.id);
  }
  return sound;
}

/** For one instruction: what has ended, lane by lane, when its call `from` starts. */
interface Clock {
  readonly from: number;
  readonly ended: readonly number[];
}

function races(index: PlanIndex, steps: readonly Step[], report: Report<"verify.race">): void {
  const touches = touchesOf(index, steps);
  const ledgers = { ram: new Ledger(touches, "ram"), vram: new Ledger(touches, "vram") };
  const byLane: Step[][] = laneNames.map(() => []);
  const endOf = new Map<string, readonly number[]>();
  const laneEnd: (readonly number[])[] = laneNames.map(() => laneNames.map(() => none));
  let seen: Set<Step> | undefined;
  let current = 0;
  let currentTouch = 0;
  const conflict = (otherLane: number, other: number) => {
    const { instruction, path } = steps[current]!;
    const earlier = byLane[otherLane]![other]!;
    seen ??= new Set();
    if (seen.has(earlier)) return;
    seen.add(earlier);
    report(
      "verify.race",
      path,
      `${instruction.id} (${instruction.lane}) does not wait for ${earlier.instruction.id} (${earlier.instruction.lane})`,
      `both touch ${touches.arena[currentTouch]}[${touches.start[currentTouch]}, ${touches.end[currentTouch]}), one writing`,
    );
  };
  steps.forEach((step, i) => {
    const { instruction } = step;
    const lane = laneNames.indexOf(instruction.lane);
    const ordinal = byLane[lane]!.push(step) - 1;
    const clocks = clocksOf(step, laneEnd[lane]!, endOf);
    seen = undefined;
    current = i;
    for (let touch = touches.first[i]!; touch < touches.first[i + 1]!; touch++) {
      currentTouch = touch;
      ledgers[touches.arena[touch]!].record(touch, lane, ordinal, clocks, conflict);
    }
    const ended = [...clocks.at(-1)!.ended];
    ended[lane] = ordinal;
    laneEnd[lane] = ended;
    endOf.set(instruction.id, ended);
  });
}

function clocksOf(
  { instruction }: Step,
  start: readonly number[],
  endOf: ReadonlyMap<string, readonly number[]>,
): Clock[] {
  const clocks: Clock[] = [{ from: 0, ended: start }];
  for (const { on, at } of [...instruction.waits].sort((a, b) => a.at - b.at)) {
    const other = endOf.get(on)!;
    clocks.push({
      from: at,
      ended: clocks.at(-1)!.ended.map((ended, lane) => Math.max(ended, other[lane]!)),
    });
  }
  return clocks;
}

function touchesOf(index: PlanIndex, steps: readonly Step[]): Touches {
  const all: Touches = { first: [0], arena: [], start: [], end: [], firstRead: [], firstWrite: [] };
  const touch = (id: string, at: number, bytes: number, firstRead: number, firstWrite: number) => {
    const { arena, offset } = index.buffer(id);
    all.arena.push(arena);
    all.start.push(offset + at);
    all.end.push(offset + at + bytes);
    all.firstRead.push(firstRead);
    all.firstWrite.push(firstWrite);
  };
  for (const { instruction } of steps) {
    if (instruction.kind === "run") {
      const { segments } = index.summary(index.procedure(instruction.procedure));
      for (const { formal, start, end, firstRead, firstWrite } of segments) {
        const { buffer, offset } = instruction.bind[formal]!;
        touch(buffer, offset + start, end - start, firstRead, firstWrite);
      }
    } else {
      const { reads, writes } = index.effects(instruction);
      for (const { buffer, offset, bytes } of reads) touch(buffer, offset, bytes, 0, never);
      for (const { buffer, offset, bytes } of writes) touch(buffer, offset, bytes, never, 0);
    }
    all.first.push(all.arena.length);
  }
  return all;
}

/**
 * Last reader and last writer per byte and lane of an arena; bytes are grouped into cells between all the ends that
 * occur.
 */
class Ledger {
  readonly #touches: Touches;
  /** The cell that starts at each of the ends. */
  readonly #cells: ReadonlyMap<number, number>;
  readonly #readers: Int32Array;
  readonly #writers: Int32Array;

  constructor(touches: Touches, arena: ArenaName) {
    const points = new Set<number>();
    touches.arena.forEach((name, touch) => {
      if (name === arena) points.add(touches.start[touch]!).add(touches.end[touch]!);
    });
    this.#touches = touches;
    this.#cells = new Map(Array.from(Float64Array.from(points).sort(), (point, cell) => [point, cell]));
    this.#readers = new Int32Array(points.size * laneNames.length).fill(none);
    this.#writers = new Int32Array(points.size * laneNames.length).fill(none);
  }

  /**
   * Notes the touch of an instruction, and calls back with each earlier one (lane, ordinal) that conflicts with it and
   * may still be running.
   */
  record(
    touch: number,
    lane: number,
    ordinal: number,
    clocks: readonly Clock[],
    conflict: (lane: number, ordinal: number) => void,
  ): void {
    const end = this.#cells.get(this.#touches.end[touch]!)!;
    const firstRead = this.#touches.firstRead[touch]!;
    const firstWrite = this.#touches.firstWrite[touch]!;
    const onAny = endedBefore(clocks, Math.min(firstRead, firstWrite));
    const onWrite = endedBefore(clocks, firstWrite);
    for (let cell = this.#cells.get(this.#touches.start[touch]!)!; cell < end; cell++) {
      const base = cell * laneNames.length;
      for (let other = 0; other < laneNames.length; other++) {
        if (other === lane) continue;
        const writer = this.#writers[base + other]!;
        const reader = this.#readers[base + other]!;
        if (writer > onAny[other]!) conflict(other, writer);
        if (firstWrite < never && reader > onWrite[other]!) conflict(other, reader);
      }
      if (firstRead < never) this.#readers[base + lane] = ordinal;
      if (firstWrite < never) this.#writers[base + lane] = ordinal;
    }
  }
}

/** What has ended when call `call` starts. */
function endedBefore(clocks: readonly Clock[], call: number): readonly number[] {
  let last = clocks.length - 1;
  while (clocks[last]!.from > call) last--;
  return clocks[last]!.ended;
}
