/**
 * sync: the waits between lanes.
 *
 * Requires: addresses; buffers that share bytes are alive at different times.
 * Guarantees: whenever two tasks on different lanes touch a common byte and one of them writes it, the later one (in
 * serial order) waits for the earlier one, before the first op call that needs it. Works on arena bytes, so it also
 * covers buffers that share bytes at different times. Waits that others imply are left out (vector clocks, Mattern
 * 1989). Parts are separate runs of the engine: lanes are empty in between.
 *
 * Most touches need no look at bytes: while a buffer is alive nothing else touches its bytes, so that a lane which has
 * made the same touch before, and is known to come after all that other lanes did with the buffer since, has nothing
 * more to wait for there. And of many runs of the same procedure at the same place only the last can matter to others.
 */
import type { LaneName, PlanBuffer, Wait } from "../../schemas/plan.ts";
import { type Access, type EffectContext, forEachAccess } from "../ir/effects.ts";
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
  readonly #uses: readonly (readonly Use[])[];
  /** Lane of each task, and its position there, from 1. */
  readonly #lanes: Int32Array;
  readonly #positions: Int32Array;
  /** What is finished when a task is. */
  readonly #finished: Clock[] = [];
  /** Per lane, the last task that a call must come after. */
  readonly #needed = new Int32Array(LANES.length);

  constructor(tasks: readonly Task[], buffers: ReadonlyMap<string, PlanBuffer>, context: EffectContext) {
    this.#tasks = tasks;
    this.#lanes = Int32Array.from(tasks, ({ lane }) => LANES.indexOf(lane));
    const counts = LANES.map(() => 0);
    this.#positions = this.#lanes.map((lane) => ++counts[lane]!);
    this.#uses = usesOf(tasks, this.#lanes, buffers, context);
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
      this.#note(index);
      return { task, waits };
    });
  }

  /** The waits of a task; `clock` takes in what they imply. */
  #synchronize(index: number, clock: Clock): readonly Wait[] {
    const own = this.#lanes[index]!;
    const isOpen = (use: Use) => !isSettled(use, own, clock);
    if (!this.#uses[index]!.some(isOpen)) return NO_WAITS;
    const open = this.#uses[index]!.filter(isOpen);
    for (const { buffer } of open) buffer.settle();
    const waits: Wait[] = [];
    const next = open.map(() => 0);
    for (let call = firstCall(open, next); call < NEVER; call = firstCall(open, next)) {
      const needed = this.#needed.fill(NOBODY);
      for (let which = 0; which < open.length; which++) {
        const { accesses, buffer, offset } = open[which]!;
        for (; accesses[next[which]!]?.call === call; next[which]!++) {
          buffer.ledger.raise(needed, offset, accesses[next[which]!]!);
        }
      }
      needed[own] = NOBODY;
      // The latest task first: what it implies need not be waited for again.
      for (let other = takeLatest(needed); other !== NOBODY; other = takeLatest(needed)) {
        if (this.#positions[other]! <= clock[this.#lanes[other]!]!) continue;
        waits.push({ on: this.#tasks[other]!.id, at: call });
        merge(clock, this.#finished[other]!);
      }
    }
    return waits;
  }

  #note(index: number): void {
    const own = this.#lanes[index]!;
    const uses = this.#uses[index]!;
    for (let which = 0; which < uses.length; which++) {
      const use = uses[which]!;
      use.buffer.latest[own] = this.#positions[index]!;
      use.begun = true;
      if (use.latest === NOBODY) use.buffer.unsettled.push(use);
      use.latest = index;
    }
    for (let which = 0; which < uses.length; which++) {
      const { buffer } = uses[which]!;
      if (buffer.last === index) buffer.settle();
    }
  }
}

const NO_WAITS: readonly Wait[] = [];
const NEVER = Number.POSITIVE_INFINITY;

/** The earliest call among the next accesses of each use. */
function firstCall(uses: readonly Use[], next: readonly number[]): number {
  let first = NEVER;
  for (let which = 0; which < uses.length; which++) {
    const access = uses[which]!.accesses[next[which]!];
    if (access && access.call < first) first = access.call;
  }
  return first;
}

/** Takes the largest out; `NOBODY` when none is left. */
function takeLatest(needed: Int32Array): number {
  let lane = 0;
  for (let other = 1; other < needed.length; other++) if (needed[other]! > needed[lane]!) lane = other;
  const latest = needed[lane]!;
  needed[lane] = NOBODY;
  return latest;
}

/**
 * Whether all that other lanes did with these bytes is finished by `clock`: what their buffer follows there, as the lane
 * waited for it at its first such touch (the first touch of the buffer may have been of other bytes of it), and what
 * was done with the buffer.
 */
function isSettled({ begun, buffer: { latest } }: Use, own: number, clock: Clock): boolean {
  if (!begun) return false;
  for (let lane = 0; lane < LANES.length; lane++) {
    if (lane !== own && latest[lane]! > clock[lane]!) return false;
  }
  return true;
}

/** A buffer as tasks share it. */
class Shared {
  readonly ledger: Ledger;
  /** Byte of the arena at which it begins. */
  readonly offset: number;
  /** The task that touches it last. */
  last = NOBODY;
  /** Per lane, the position of the task that touched it last. */
  readonly latest: number[] = LANES.map(() => 0);
  /** What its bytes' ledger does not know yet. */
  readonly unsettled: Use[] = [];
  /** By their accesses: runs that come after one another mostly make the same. */
  readonly uses = new Map<readonly Access[], Use[]>();

  constructor(ledger: Ledger, offset: number) {
    this.ledger = ledger;
    this.offset = offset;
  }

  settle(): void {
    if (this.unsettled.length === 0) return;
    for (const use of this.unsettled) {
      for (const access of use.accesses) this.ledger.note(use.latest, use.offset, access);
      use.latest = NOBODY;
    }
    this.unsettled.length = 0;
  }
}

/** Accesses of one buffer by any number of tasks of a lane. */
interface Use {
  readonly buffer: Shared;
  readonly lane: number;
  /** Byte of the arena that the accesses are relative to. */
  readonly offset: number;
  readonly accesses: readonly Access[];
  /** Whether a task has made them yet. */
  begun: boolean;
  /** The last task that made them, of those that the ledger does not know yet. */
  latest: number;
}

/** What each task touches. */
function usesOf(
  tasks: readonly Task[],
  lanes: Int32Array,
  buffers: ReadonlyMap<string, PlanBuffer>,
  context: EffectContext,
): readonly (readonly Use[])[] {
  const ledgers = { ram: new Ledger(lanes), vram: new Ledger(lanes) };
  const shared = new Map<string, Shared>();
  const uses = tasks.map((task, index) => {
    const own: Use[] = [];
    forEachAccess(task, context, (id, place, accesses) => {
      let buffer = shared.get(id);
      if (!buffer) {
        const { arena, offset } = buffers.get(id)!;
        buffer = new Shared(ledgers[arena], offset);
        shared.set(id, buffer);
      }
      buffer.last = index;
      own.push(useOf(buffer, lanes[index]!, place, accesses));
    });
    return own;
  });
  ledgers.ram.cut();
  ledgers.vram.cut();
  return uses;
}

function useOf(buffer: Shared, lane: number, place: number, accesses: readonly Access[]): Use {
  const offset = buffer.offset + place;
  const known = buffer.uses.get(accesses);
  const same = known?.findLast((use) => use.offset === offset && use.lane === lane);
  if (same) return same;
  const use = { buffer, lane, offset, accesses, begun: false, latest: NOBODY };
  if (known) known.push(use);
  else buffer.uses.set(accesses, [use]);
  for (const access of accesses) buffer.ledger.expect(offset, access);
  return use;
}

/** Who touched each byte of an arena last, its bytes cut into cells at every boundary of any access. */
class Ledger {
  readonly #lanes: Int32Array;
  readonly #bounds: number[] = [];
  /** The cell that starts at each boundary. */
  #cells: ReadonlyMap<number, number> = new Map();
  #writer = new Int32Array();
  /** Per cell and lane, the last reader. One before the last write changes nothing: the writer waited for it. */
  #readers = new Int32Array();

  /** `lanes`: of each task. */
  constructor(lanes: Int32Array) {
    this.#lanes = lanes;
  }

  expect(offset: number, { start, end }: Access): void {
    this.#bounds.push(offset + start, offset + end);
  }

  /** Makes cells of what is expected. */
  cut(): void {
    const cells = new Map<number, number>();
    for (const bound of new Float64Array(this.#bounds).sort())
      if (!cells.has(bound)) cells.set(bound, cells.size);
    this.#cells = cells;
    this.#writer = new Int32Array(cells.size).fill(NOBODY);
    this.#readers = new Int32Array(cells.size * LANES.length).fill(NOBODY);
  }

  /** Raises `needed`, per lane, to the last task that an access must come after. */
  raise(needed: Int32Array, offset: number, { start, end, write }: Access): void {
    const last = this.#cells.get(offset + end)!;
    for (let cell = this.#cells.get(offset + start)!; cell < last; cell++) {
      const writer = this.#writer[cell]!;
      if (writer !== NOBODY) {
        const lane = this.#lanes[writer]!;
        if (needed[lane]! < writer) needed[lane] = writer;
      }
      if (!write) continue;
      const readers = cell * LANES.length;
      for (let lane = 0; lane < LANES.length; lane++) {
        const reader = this.#readers[readers + lane]!;
        if (needed[lane]! < reader) needed[lane] = reader;
      }
    }
  }

  note(task: number, offset: number, { start, end, write }: Access): void {
    const own = this.#lanes[task]!;
    const last = this.#cells.get(offset + end)!;
    for (let cell = this.#cells.get(offset + start)!; cell < last; cell++) {
      const reader = cell * LANES.length + own;
      if (write) this.#writer[cell] = Math.max(this.#writer[cell]!, task);
      else this.#readers[reader] = Math.max(this.#readers[reader]!, task);
    }
  }
}

function merge(into: Clock, other: Clock): void {
  for (let lane = 0; lane < LANES.length; lane++) into[lane] = Math.max(into[lane]!, other[lane]!);
}
