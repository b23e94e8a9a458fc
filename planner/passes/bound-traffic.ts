/**
 * bound-traffic: per program and link, the bytes moved beside a provable lower bound.
 *
 * Requires: instructions, lifetimes. Guarantees: the bound follows from touches and capacities alone, with its
 * certificate: windows of touches, each with the bytes that the places of weights hold when it begins.
 */
import type { Instruction, Place, Plan, PlanBuffer, PlanProgram, ProgramName } from "../../schemas/plan.ts";
import { gapPpm, type Touched, windowBound } from "../cost/bounds.ts";
import { worstCaseRows } from "../cost/pages.ts";
import type { Lived, Programs } from "../ir/schedule.ts";
import type { Units } from "../ir/units.ts";
import { computeArena } from "../ir/values.ts";

type Link = Plan["bounds"][number]["link"];

export function boundTraffic(lived: Lived, units: Units, programs: Programs<PlanProgram>): Plan["bounds"] {
  return Object.entries(programs).flatMap(([name, parts]) => {
    const program = name as ProgramName;
    const { steady } = parts;
    const touches = touchesOf(steady, units);
    const aside = spared(steady, lived.buffers);
    const places = new Places(lived, program, parts);
    return (["disk", "h2d", "d2h"] as const).flatMap((link) => {
      const moving = steady.filter(({ lane }) => lane === link);
      if (moving.length === 0 && !(link === "disk" && program !== "checkpoint")) return [];
      const moved = moving.reduce((sum, { bytes }) => sum + bytes, 0);
      const compulsory = moving.reduce((sum, one) => sum + (aside.has(one) ? 0 : compulsoryBytes(one)), 0);
      const capacityAt = (touch: number) => {
        return places.capacity(link, touches.positions[touch]!, touches.previous[touch]!);
      };
      const found =
        link === "d2h"
          ? { bytes: 0, windows: [] }
          : windowBound(touches.distinct, capacityAt, places.shareTouches(link));
      const bound = found.bytes + compulsory;
      const windows = found.windows.map(
        ([start, end]) =>
          `${touches.runAt(start)}-${touches.runAt(end - 1) + 1}@${capacityAt(start % touches.distinct.length)}`,
      );
      return [
        {
          link,
          program,
          moved,
          bound,
          proof: "windows",
          certificate: { compulsory, windows },
          gap_ppm: gapPpm(moved, bound),
        },
      ];
    });
  });
}

interface WeightCopy {
  readonly position: number;
  readonly bytes: number;
}

/** The places of weights that exist at a position of a program's steady part. */
class Places {
  readonly #slots: Lived["buffers"];
  readonly #program: ProgramName;
  readonly #compute: PlanBuffer["arena"];
  /** Serial position of the steady part's first instruction. */
  readonly #offset: number;
  /** Instructions of the steady part. */
  readonly #length: number;
  /** Per position, once they are asked for. */
  readonly #bytesAlive: { all?: Float64Array; compute?: Float64Array } = {};
  /** Copies of weights to vram: position in the steady part and bytes. */
  readonly #copies: readonly WeightCopy[];

  constructor(lived: Lived, program: ProgramName, { prologue, steady }: PlanProgram) {
    this.#slots = lived.buffers.filter(({ holds }) => holds === "weights");
    this.#program = program;
    this.#compute = computeArena(lived.shape);
    this.#offset = prologue.length;
    this.#length = steady.length;
    this.#copies = steady.flatMap((one, position) =>
      one.kind === "copy" && one.unit !== null ? [{ position, bytes: one.bytes }] : [],
    );
  }

  /**
   * Most distinct bytes that memory before the link can hold when the touch at `position` begins, the touch before it
   * being at `previous`. From disk, with a vram tier, a window of touches ends with the last copy before its last touch
   * and so may begin with any copy from there on: that copy's bytes are in ram and vram at once.
   */
  capacity(link: Link, position: number, previous: number): number {
    const here = this.#alive(link, position);
    if (link !== "disk" || this.#copies.length === 0) return here;
    const starts = this.#copiesFrom(this.#lastBefore(previous), this.#lastBefore(position));
    return Math.min(here, ...starts.map((copy) => this.#alive(link, copy.position) - copy.bytes));
  }

  /**
   * Whether a window may begin with the last touch of the one before. From disk with a vram tier it may not: the bytes of
   * that touch are in vram before it happens, and the copies from then on count.
   */
  shareTouches(link: Link): boolean {
    return link !== "disk" || this.#copies.length === 0;
  }

  /** Index of the last copy before a position; of the cycle before where there is none. */
  #lastBefore(position: number): number {
    const found = this.#copies.findLastIndex((copy) => copy.position < position);
    return found < 0 ? this.#copies.length - 1 : found;
  }

  /** The copies from one to another, over the end of the cycle where that comes first. */
  #copiesFrom(first: number, last: number): readonly WeightCopy[] {
    return first <= last
      ? this.#copies.slice(first, last + 1)
      : [...this.#copies.slice(first), ...this.#copies.slice(0, last + 1)];
  }

  #alive(link: Link, position: number): number {
    const tiers = link === "disk" ? "all" : "compute";
    const known = this.#bytesAlive[tiers] ?? this.#allAlive(tiers);
    this.#bytesAlive[tiers] = known;
    return known[position]!;
  }

  /** Bytes of the places alive at each position. */
  #allAlive(tiers: "all" | "compute"): Float64Array {
    /** What begins at a position less what ends there, and then the sums of it. */
    const alive = new Float64Array(this.#length + 1);
    for (const { arena, lifetime: life, bytes } of this.#slots) {
      if (tiers === "compute" && arena !== this.#compute) continue;
      if (life && life.program !== this.#program) continue;
      const from = life ? Math.max(0, life.start - this.#offset) : 0;
      const to = life ? Math.min(this.#length, life.end - this.#offset) : this.#length;
      if (from >= to) continue;
      alive[from]! += bytes;
      alive[to]! -= bytes;
    }
    for (let position = 1; position < this.#length; position++) alive[position]! += alive[position - 1]!;
    return alive;
  }
}

/**
 * Copies of what waits in ram for a while although it could have stayed in vram: its place there lives on until it comes
 * back. What has no place in between has to cross twice.
 */
function spared(steady: readonly Instruction[], buffers: Lived["buffers"]): ReadonlySet<Instruction> {
  const lifetimes = new Map(buffers.map(({ id, lifetime }) => [id, lifetime]));
  const copies = steady.flatMap((one) => (one.kind === "copy" && one.unit === null ? [one] : []));
  const away = new Map(
    copies.flatMap((one) => (one.lane === "d2h" ? [[placeKey(one.to), one] as const] : [])),
  );
  return new Set(
    copies.flatMap((back) => {
      const going = back.lane === "h2d" ? away.get(placeKey(back.from)) : undefined;
      if (!going) return [];
      const [left, returned] = [lifetimes.get(going.from.buffer), lifetimes.get(back.to.buffer)];
      return left && returned && left.end <= returned.start ? [] : [going, back];
    }),
  );
}

function placeKey({ buffer, offset }: Place): string {
  return `${buffer} ${offset}`;
}

/** Bytes that have to move whatever stays resident: embedding rows, checkpoint files, step inputs, adapter, gradients. */
function compulsoryBytes(instruction: Instruction): number {
  switch (instruction.kind) {
    case "gather":
      return worstCaseRows(instruction, instruction.indices.bytes / 4);
    case "write":
      return instruction.bytes;
    case "copy":
      return instruction.unit === null ? instruction.bytes : 0;
    default:
      return 0;
  }
}

interface Touches {
  /** Consecutive uses of a unit count once. */
  readonly distinct: readonly Touched[];
  /** Position of each touch's first run. */
  readonly positions: readonly number[];
  /** Position of the run of a unit before that, in the cycle. */
  readonly previous: readonly number[];
  /** Index among all runs with a unit of the run that a touch begins with; goes on past the cycle's end. */
  readonly runAt: (touch: number) => number;
}

function touchesOf(instructions: readonly Instruction[], units: Units): Touches {
  const runs = instructions.flatMap((one, position) =>
    one.kind === "run" && one.unit !== null ? [{ unit: one.unit, position }] : [],
  );
  const starts = runs.flatMap(({ unit }, run) => (run > 0 && runs[run - 1]!.unit === unit ? [] : [run]));
  const distinct = starts.map((run) => {
    const { id, parts } = units.byId.get(runs[run]!.unit)!;
    return { unit: id, bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0) };
  });
  const runAt = (touch: number) => {
    return Math.floor(touch / starts.length) * runs.length + starts[touch % starts.length]!;
  };
  const positions = starts.map((run) => runs[run]!.position);
  const previous = starts.map((run) => (runs[run - 1] ?? runs.at(-1)!).position);
  return { distinct, positions, previous, runAt };
}
