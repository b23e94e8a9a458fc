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
import { type Access, accessesOf, type EffectContext, groupByCall } from "../ir/effects.ts";
import type { LaidOut, Synced, SyncedTask, Task } from "../ir/schedule.ts";
import { mapPrograms } from "./residency.ts";

/** For each lane, how many of its tasks are known to be finished. */
type Clock = Record<LaneName, number>;

interface Event {
  readonly index: number;
  readonly lane: LaneName;
  /** Position in its lane, from 1. */
  readonly position: number;
}

/** Atomic byte range of an arena with its last accesses. */
interface Segment {
  write: Event | null;
  reads: Event[];
}

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

class Synchronizer {
  readonly #tasks: readonly Task[];
  readonly #accesses: readonly (readonly Located[])[];
  readonly #arenas: Readonly<Record<ArenaName, SegmentMap>>;
  readonly #finished: Clock[] = [];
  readonly #lanes: Clock = emptyClock();
  readonly #latest = new Map<LaneName, Clock>();

  constructor(tasks: readonly Task[], buffers: ReadonlyMap<string, PlanBuffer>, context: EffectContext) {
    this.#tasks = tasks;
    this.#accesses = tasks.map((task) => accessesOf(task, context).map((access) => locate(access, buffers)));
    const all = this.#accesses.flat();
    this.#arenas = { ram: new SegmentMap(all, "ram"), vram: new SegmentMap(all, "vram") };
  }

  run(): readonly SyncedTask[] {
    return this.#tasks.map((task, index) => ({ task, waits: this.#synchronize(task, index) }));
  }

  #synchronize(task: Task, index: number): readonly Wait[] {
    const { lane } = task;
    const clock: Clock = { ...(this.#latest.get(lane) ?? emptyClock()) };
    const event: Event = { index, lane, position: this.#lanes[lane] + 1 };
    const waits: Wait[] = [];
    for (const [call, accesses] of groupByCall(this.#accesses[index]!)) {
      const needed = new Map<LaneName, Event>();
      for (const access of accesses) {
        for (const segment of this.#arenas[access.arena].within(access)) {
          const conflicts = access.write ? [...segment.reads, segment.write] : [segment.write];
          for (const other of conflicts) {
            if (!other || other.lane === lane || other.position <= clock[other.lane]) continue;
            const known = needed.get(other.lane);
            if (!known || known.position < other.position) needed.set(other.lane, other);
          }
        }
      }
      // The latest task first: what it implies need not be waited for again.
      for (const other of [...needed.values()].sort((a, b) => b.index - a.index)) {
        if (other.position <= clock[other.lane]) continue;
        waits.push({ on: this.#tasks[other.index]!.id, at: call });
        merge(clock, this.#finished[other.index]!);
      }
    }
    for (const access of this.#accesses[index]!) this.#arenas[access.arena].record(access, event);
    this.#lanes[lane] = event.position;
    clock[lane] = event.position;
    this.#finished[index] = clock;
    this.#latest.set(lane, clock);
    return waits;
  }
}

interface Located {
  readonly arena: ArenaName;
  readonly start: number;
  readonly end: number;
  readonly write: boolean;
  readonly call: number;
}

function locate(access: Access, buffers: ReadonlyMap<string, PlanBuffer>): Located {
  const buffer = buffers.get(access.buffer)!;
  const { write, call } = access;
  return {
    arena: buffer.arena,
    start: buffer.offset + access.start,
    end: buffer.offset + access.end,
    write,
    call,
  };
}

/** An arena cut at every boundary of any access. */
class SegmentMap {
  readonly #cuts: readonly number[];
  readonly #segments: readonly Segment[];

  constructor(accesses: readonly Located[], arena: ArenaName) {
    const cuts = new Set<number>();
    for (const access of accesses) {
      if (access.arena !== arena) continue;
      cuts.add(access.start);
      cuts.add(access.end);
    }
    this.#cuts = [...cuts].sort((a, b) => a - b);
    this.#segments = this.#cuts.map(() => ({ write: null, reads: [] }));
  }

  within({ start, end }: Located): readonly Segment[] {
    return this.#segments.slice(this.#find(start), this.#find(end));
  }

  record(access: Located, event: Event): void {
    for (const segment of this.within(access)) {
      if (access.write) {
        segment.write = event;
        segment.reads = segment.reads.filter((read) => read === event);
      } else if (!segment.reads.includes(event)) {
        segment.reads = [...segment.reads.filter((read) => read.lane !== event.lane), event];
      }
    }
  }

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

function emptyClock(): Clock {
  return { disk: 0, h2d: 0, compute: 0, d2h: 0, host: 0 };
}

function merge(into: Clock, other: Clock): void {
  for (const lane of Object.keys(into) as LaneName[]) into[lane] = Math.max(into[lane], other[lane]);
}
