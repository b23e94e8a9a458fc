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
import { type EffectContext, forEachAccess } from "../ir/effects.ts";
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
  readonly #accesses: Accesses;
  readonly #ledgers: Readonly<Record<ArenaName, Ledger>>;
  /** Lane of each task, and its position there, from 1. */
  readonly #lanes: Int32Array;
  readonly #positions: Int32Array;
  /** What is finished when a task is. */
  readonly #finished: Clock[] = [];

  constructor(tasks: readonly Task[], buffers: ReadonlyMap<string, PlanBuffer>, context: EffectContext) {
    this.#tasks = tasks;
    this.#lanes = Int32Array.from(tasks, ({ lane }) => LANES.indexOf(lane));
    const counts = LANES.map(() => 0);
    this.#positions = this.#lanes.map((lane) => ++counts[lane]!);
    this.#accesses = accessesOf(tasks, buffers, context);
    this.#ledgers = {
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
      clock[lane] = this.#positions[index]!;
      this.#finished[index] = clock;
      latest[lane] = clock;
      return { task, waits };
    });
  }

  /** The waits of a task; `clock` takes in what they imply. */
  #synchronize(index: number, clock: Clock): readonly Wait[] {
    const { first, arena, call: calls } = this.#accesses;
    const waits: Wait[] = [];
    const own = this.#lanes[index]!;
    const needed = LANES.map(() => NOBODY);
    const end = first[index + 1]!;
    for (let access = first[index]!; access < end; ) {
      const call = calls[access]!;
      needed.fill(NOBODY);
      for (; access < end && calls[access] === call; access++) {
        this.#ledgers[arena[access]!].record(access, index, needed);
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

/** All accesses in serial order, one array a property: no object for each of some ten thousand. */
interface Accesses {
  /** Where the accesses of each task begin; one more than tasks. */
  readonly first: number[];
  readonly arena: ArenaName[];
  /** Arena bytes [start, end). */
  readonly start: number[];
  readonly end: number[];
  readonly write: boolean[];
  readonly call: number[];
}

function accessesOf(
  tasks: readonly Task[],
  buffers: ReadonlyMap<string, PlanBuffer>,
  context: EffectContext,
): Accesses {
  const all: Accesses = { first: [0], arena: [], start: [], end: [], write: [], call: [] };
  for (const task of tasks) {
    forEachAccess(task, context, (buffer, start, end, write, call) => {
      const { arena, offset } = buffers.get(buffer)!;
      all.arena.push(arena);
      all.start.push(offset + start);
      all.end.push(offset + end);
      all.write.push(write);
      all.call.push(call);
    });
    all.first.push(all.start.length);
  }
  return all;
}

/** Who touched each byte of an arena last, its bytes cut into cells at every boundary of any access. */
class Ledger {
  readonly #accesses: Accesses;
  readonly #lanes: Int32Array;
  /** Where each cell starts; it ends where the next one does. */
  readonly #cuts: Float64Array;
  readonly #writer: Int32Array;
  /** Per cell and lane, the last reader. One before the last write changes nothing: the writer waited for it. */
  readonly #readers: Int32Array;

  constructor(accesses: Accesses, arena: ArenaName, lanes: Int32Array) {
    const cuts = new Set<number>();
    accesses.start.forEach((start, access) => {
      if (accesses.arena[access] === arena) cuts.add(start).add(accesses.end[access]!);
    });
    this.#accesses = accesses;
    this.#lanes = lanes;
    this.#cuts = Float64Array.from(cuts).sort();
    this.#writer = new Int32Array(cuts.size).fill(NOBODY);
    this.#readers = new Int32Array(cuts.size * LANES.length).fill(NOBODY);
  }

  /** Notes a task's access, and raises `needed`, per lane, to the last task that it must come after. */
  record(access: number, task: number, needed: number[]): void {
    const { start, end, write } = this.#accesses;
    const to = end[access]!;
    const writes = write[access]!;
    for (let cell = this.#find(start[access]!); this.#cuts[cell]! < to; cell++) {
      const readers = cell * LANES.length;
      const writer = this.#writer[cell]!;
      if (writer !== NOBODY) {
        const lane = this.#lanes[writer]!;
        needed[lane] = Math.max(needed[lane]!, writer);
      }
      if (writes) {
        for (let lane = 0; lane < LANES.length; lane++) {
          needed[lane] = Math.max(needed[lane]!, this.#readers[readers + lane]!);
        }
        this.#writer[cell] = task;
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
