/**
 * sync: the waits between lanes.
 *
 * Requires: addresses.
 * Guarantees: whenever two tasks on different lanes touch a common byte and one of them writes it, the later one (in
 * serial order) waits for the earlier one, before the first op call that needs it. Works on arena bytes, so it also
 * covers buffers that share bytes at different times. Waits that others imply are left out (vector clocks, Mattern
 * 1989). Parts are separate runs of the engine: lanes are empty in between.
 */
import type { ArenaName, LaneName, PlanBuffer, Wait } from "../../schemas/plan.ts";
import { type Access, accessesOf, type EffectContext } from "../ir/effects.ts";
import type { LaidOut, Synced, SyncedTask, Task } from "../ir/schedule.ts";
import { mapPrograms } from "./residency.ts";

const LANES: readonly LaneName[] = ["disk", "h2d", "compute", "d2h", "host"];
/** Stands for the task that touched a byte when none did. */
const NOBODY = -1;

/** For each lane, how many of its tasks are known to be finished. */
type Clock = number[];

export function sync(laidOut: LaidOut, context: EffectContext): Synced {
  const buffers = new Map(laidOut.buffers.map((buffer) => [buffer.id, buffer]));
  const part = (tasks: readonly Task[]) => new Synchronizer(tasks, buffers, context).run();
  return {
    ...laidOut,
    synced: mapPrograms(laidOut.parts, ({ prologue, steady, epilogue }) => ({
      prologue: part(prologue),
      steady: part(steady),
      epilogue: part(epilogue),
    })),
  };
}

/** Tasks are their indices here, lanes their indices in `LANES`. */
class Synchronizer {
  readonly #tasks: readonly Task[];
  readonly #accesses: readonly (readonly Located[])[];
  readonly #arenas: Readonly<Record<ArenaName, Ledger>>;
  /** Lane of each task, and its position there, from 1. */
  readonly #lanes: Int32Array;
  readonly #positions: Int32Array;
  /** What is finished when a task is. */
  readonly #finished: Clock[] = [];

  constructor(tasks: readonly Task[], buffers: ReadonlyMap<string, PlanBuffer>, context: EffectContext) {
    this.#tasks = tasks;
    this.#accesses = tasks.map((task) => accessesOf(task, context).map((access) => locate(access, buffers)));
    this.#lanes = Int32Array.from(tasks, ({ lane }) => LANES.indexOf(lane));
    const counts = LANES.map(() => 0);
    this.#positions = this.#lanes.map((lane) => ++counts[lane]!);
    this.#arenas = {
      ram: new Ledger(this.#accesses, "ram", this.#lanes),
      vram: new Ledger(this.#accesses, "vram", this.#lanes),
    };
  }

  run(): readonly SyncedTask[] {
    const latest = LANES.map((): Clock => LANES.map(() => 0));
    return this.#tasks.map((task, index) => {
      const lane = this.#lanes[index]!;
      const clock = [...latest[lane]!];
      const waits = this.#synchronize(index, clock);
      for (const access of this.#accesses[index]!) this.#arenas[access.arena].record(access, index);
      clock[lane] = this.#positions[index]!;
      this.#finished[index] = clock;
      latest[lane] = clock;
      return { task, waits };
    });
  }

  /** The waits of a task; `clock` takes in what they imply. */
  #synchronize(index: number, clock: Clock): readonly Wait[] {
    const accesses = this.#accesses[index]!;
    const waits: Wait[] = [];
    const needed = LANES.map(() => NOBODY);
    const own = this.#lanes[index]!;
    for (let next = 0; next < accesses.length; ) {
      const { call } = accesses[next]!;
      needed.fill(NOBODY);
      for (; accesses[next]?.call === call; next++) {
        const access = accesses[next]!;
        this.#arenas[access.arena].conflicts(access, needed);
      }
      const others = needed.filter((other, lane) => other !== NOBODY && lane !== own);
      // The latest task first: what it implies need not be waited for again.
      for (const other of others.sort((a, b) => b - a)) {
        if (this.#positions[other]! <= clock[this.#lanes[other]!]!) continue;
        waits.push({ on: this.#tasks[other]!.id, at: call });
        merge(clock, this.#finished[other]!);
      }
    }
    return waits;
  }
}

/** An access in arena bytes. */
interface Located {
  readonly arena: ArenaName;
  readonly start: number;
  readonly end: number;
  readonly write: boolean;
  readonly call: number;
}

function locate(access: Access, buffers: ReadonlyMap<string, PlanBuffer>): Located {
  const { arena, offset } = buffers.get(access.buffer)!;
  const { start, end, write, call } = access;
  return { arena, start: offset + start, end: offset + end, write, call };
}

/**
 * Who touched each byte of an arena last, its bytes cut into cells at every boundary of any access. Flat arrays: a
 * step's tasks visit some hundred thousand cells.
 */
class Ledger {
  /** Where each cell starts; it ends where the next one does. */
  readonly #cuts: Float64Array;
  readonly #writer: Int32Array;
  /** Per cell and lane, the last reader since the last write. */
  readonly #readers: Int32Array;
  readonly #lanes: Int32Array;

  constructor(accesses: readonly (readonly Located[])[], arena: ArenaName, lanes: Int32Array) {
    const cuts = new Set<number>();
    for (const ofTask of accesses) {
      for (const access of ofTask) if (access.arena === arena) cuts.add(access.start).add(access.end);
    }
    this.#cuts = Float64Array.from(cuts).sort();
    this.#writer = new Int32Array(cuts.size).fill(NOBODY);
    this.#readers = new Int32Array(cuts.size * LANES.length).fill(NOBODY);
    this.#lanes = lanes;
  }

  /** Raises `latest`, per lane, to the last task that the access must come after. */
  conflicts({ start, end, write }: Located, latest: number[]): void {
    for (let cell = this.#find(start); this.#cuts[cell]! < end; cell++) {
      const writer = this.#writer[cell]!;
      if (writer !== NOBODY) {
        const lane = this.#lanes[writer]!;
        latest[lane] = Math.max(latest[lane]!, writer);
      }
      if (!write) continue;
      for (let lane = 0; lane < LANES.length; lane++) {
        const reader = this.#readers[cell * LANES.length + lane]!;
        latest[lane] = Math.max(latest[lane]!, reader);
      }
    }
  }

  record({ start, end, write }: Located, task: number): void {
    for (let cell = this.#find(start); this.#cuts[cell]! < end; cell++) {
      const readers = cell * LANES.length;
      if (write) {
        this.#writer[cell] = task;
        this.#readers.fill(NOBODY, readers, readers + LANES.length);
      } else this.#readers[readers + this.#lanes[task]!] = task;
    }
  }

  /** The cell that starts at `cut`. */
  #find(cut: number): number {
    let low = 0;
    let high = this.#cuts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#cuts[middle]! < cut) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function merge(into: Clock, other: Clock): void {
  for (let lane = 0; lane < LANES.length; lane++) into[lane] = Math.max(into[lane]!, other[lane]!);
}
