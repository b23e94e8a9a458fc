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
import type { LaneName } from "../plan.ts";
import { defineCheck, type Report } from "./check.ts";
import { type ArenaRange, type PlanIndex, partNames, programNames, type Step } from "./plan-index.ts";

const laneNames: readonly LaneName[] = ["disk", "h2d", "compute", "d2h", "host"];
const none = -1;

/** A byte range that an instruction touches, with the first of its calls that reads and that writes it. */
interface Touch extends ArenaRange {
  readonly firstRead: number;
  readonly firstWrite: number;
}

export const checkOrder = defineCheck({
  name: "order",
  proves: "Waits point backwards, and every conflict between lanes is ordered by them.",
  codes: ["verify.wait", "verify.race"],
  run(index, report) {
    for (const program of programNames) {
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
  const touches = steps.map((step) => touchesOf(index, step));
  const ledger = new Ledger(touches.flat());
  const byLane: Step[][] = laneNames.map(() => []);
  const endOf = new Map<string, readonly number[]>();
  const laneEnd: (readonly number[])[] = laneNames.map(() => laneNames.map(() => none));
  steps.forEach((step, i) => {
    const { instruction, path } = step;
    const lane = laneNames.indexOf(instruction.lane);
    const ordinal = byLane[lane]!.push(step) - 1;
    const clocks = clocksOf(step, laneEnd[lane]!, endOf);
    const seen = new Set<Step>();
    for (const touch of touches[i]!) {
      ledger.conflicts(touch, lane, clocks, (otherLane, other) => {
        const earlier = byLane[otherLane]![other]!;
        if (seen.has(earlier)) return;
        seen.add(earlier);
        report(
          "verify.race",
          path,
          `${instruction.id} (${instruction.lane}) does not wait for ${earlier.instruction.id} (${earlier.instruction.lane})`,
          `both touch ${touch.arena}[${touch.start}, ${touch.end}), one writing`,
        );
      });
    }
    for (const touch of touches[i]!) ledger.record(touch, lane, ordinal);
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

function touchesOf(index: PlanIndex, { instruction }: Step): Touch[] {
  if (instruction.kind === "run") {
    const { segments } = index.summary(index.procedure(instruction.procedure));
    return segments.map(({ formal, start, end, firstRead, firstWrite }) => {
      const { buffer, offset } = instruction.bind[formal]!;
      return { ...index.locate({ buffer, offset: offset + start }, end - start), firstRead, firstWrite };
    });
  }
  const { reads, writes } = index.effects(instruction);
  const never = Number.POSITIVE_INFINITY;
  return [
    ...reads.map((range) => ({ ...index.locate(range, range.bytes), firstRead: 0, firstWrite: never })),
    ...writes.map((range) => ({ ...index.locate(range, range.bytes), firstRead: never, firstWrite: 0 })),
  ];
}

/** Last reader and last writer per byte and lane; bytes are grouped into cells between all the ends that occur. */
class Ledger {
  readonly #points: Readonly<Record<"ram" | "vram", Float64Array>>;
  readonly #readers: Readonly<Record<"ram" | "vram", Int32Array>>;
  readonly #writers: Readonly<Record<"ram" | "vram", Int32Array>>;

  constructor(touches: readonly Touch[]) {
    const points = (arena: "ram" | "vram") =>
      Float64Array.from(
        new Set(touches.flatMap((touch) => (touch.arena === arena ? [touch.start, touch.end] : []))),
      ).sort();
    this.#points = { ram: points("ram"), vram: points("vram") };
    const cells = (arena: "ram" | "vram") =>
      new Int32Array(this.#points[arena].length * laneNames.length).fill(none);
    this.#readers = { ram: cells("ram"), vram: cells("vram") };
    this.#writers = { ram: cells("ram"), vram: cells("vram") };
  }

  /** Calls back with each earlier instruction (lane, ordinal) that conflicts with the touch and may still be running. */
  conflicts(
    touch: Touch,
    lane: number,
    clocks: readonly Clock[],
    conflict: (lane: number, ordinal: number) => void,
  ): void {
    const onAny = endedBefore(clocks, Math.min(touch.firstRead, touch.firstWrite));
    const onWrite = endedBefore(clocks, touch.firstWrite);
    const writes = touch.firstWrite !== Number.POSITIVE_INFINITY;
    const [readers, writers] = [this.#readers[touch.arena], this.#writers[touch.arena]];
    this.#eachCell(touch, (cell) => {
      for (let other = 0; other < laneNames.length; other++) {
        if (other === lane) continue;
        const at = cell * laneNames.length + other;
        if (writers[at]! > onAny[other]!) conflict(other, writers[at]!);
        if (writes && readers[at]! > onWrite[other]!) conflict(other, readers[at]!);
      }
    });
  }

  record(touch: Touch, lane: number, ordinal: number): void {
    this.#eachCell(touch, (cell) => {
      const at = cell * laneNames.length + lane;
      if (touch.firstRead !== Number.POSITIVE_INFINITY) this.#readers[touch.arena][at] = ordinal;
      if (touch.firstWrite !== Number.POSITIVE_INFINITY) this.#writers[touch.arena][at] = ordinal;
    });
  }

  #eachCell({ arena, start, end }: Touch, visit: (cell: number) => void): void {
    const points = this.#points[arena];
    let low = 0;
    let high = points.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (points[middle]! < start) low = middle + 1;
      else high = middle;
    }
    for (let cell = low; points[cell]! < end; cell++) visit(cell);
  }
}

/** What has ended when call `call` starts. */
function endedBefore(clocks: readonly Clock[], call: number): readonly number[] {
  return clocks.findLast(({ from }) => from <= call)!.ended;
}
