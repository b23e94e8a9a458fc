/**
 * The state of the search: what is placed, and how low everything else may still go. Undone by a trail.
 *
 * Each clique has a `floor`: no unplaced member starts below it. Each unplaced buffer has an `offset`: the lowest
 * aligned one that the floors of its cliques leave. The two are kept at their fixed point: a clique's floor is the
 * lowest offset of its unplaced members, a buffer's offset the highest floor of its cliques. A clique whose floor and
 * unplaced bytes together pass the capacity refutes the state (MiniMalloc, Moffitt 2023, calls this section inference).
 *
 * Lengths are in units of the alignments' greatest common divisor; sizes are rounded up to it, which loses nothing,
 * because every offset is a multiple. Only a topmost buffer may end inside its last unit: `latest` knows.
 */

import type { Block } from "./blocks.ts";
import { mix } from "./mix.ts";
import type { Overlaps } from "./overlaps.ts";

export class Skyline {
  readonly overlaps: Overlaps;
  readonly capacity: number;
  readonly unit: number;
  readonly size: Float64Array;
  readonly alignment: Float64Array;
  readonly offset: Float64Array;
  /** Per clique: the lowest possible start of an unplaced member, and how many members may start there. */
  readonly floor: Float64Array;
  readonly lowest: Int32Array;
  /** Per clique: its members, of which the first `waiting` are unplaced, and the sum of their keys modulo 2^32. */
  readonly members: readonly Int32Array[];
  readonly waitingKey: Int32Array;
  /** Per clique: the units and the number of its unplaced members, and where its highest placed member ends. */
  readonly remaining: Float64Array;
  readonly waiting: Int32Array;
  readonly top: Float64Array;
  /** Where buffer b stands in `members[c]`: at `#position[#base[b] + c]`. */
  readonly #position: Int32Array;
  readonly #base: Int32Array;
  readonly #latest: Float64Array;
  readonly #queue: number[] = [];
  readonly #queued: Uint8Array;
  readonly #trailArrays: (Float64Array | Int32Array)[] = [];
  readonly #trailIndices: number[] = [];
  readonly #trailValues: number[] = [];

  constructor(blocks: readonly Block[], overlaps: Overlaps, capacityBytes: number) {
    const unit = blocks.map(({ alignment }) => alignment).reduce(greatestCommonDivisor);
    const cliques = overlaps.cliques.length;
    this.overlaps = overlaps;
    this.unit = unit;
    this.capacity = Math.ceil(capacityBytes / unit);
    this.size = Float64Array.from(blocks, ({ bytes }) => Math.ceil(bytes / unit));
    this.alignment = Float64Array.from(blocks, ({ alignment }) => alignment / unit);
    this.#latest = Float64Array.from(blocks, ({ bytes }) => Math.floor((capacityBytes - bytes) / unit));
    this.offset = new Float64Array(blocks.length);
    this.members = overlaps.cliques.map((members) => members.slice());
    this.waitingKey = Int32Array.from(overlaps.cliques, (members) =>
      members.reduce((sum, buffer) => (sum + keyOf(buffer)) | 0, 0),
    );
    this.#base = new Int32Array(blocks.length);
    let places = 0;
    blocks.forEach((_, buffer) => {
      this.#base[buffer] = places - overlaps.first[buffer]!;
      places += overlaps.last[buffer]! - overlaps.first[buffer]! + 1;
    });
    this.#position = new Int32Array(places);
    overlaps.cliques.forEach((members, clique) => {
      members.forEach((buffer, k) => {
        this.#position[this.#base[buffer]! + clique] = k;
      });
    });
    this.floor = new Float64Array(cliques);
    this.lowest = Int32Array.from(overlaps.cliques, (members) => members.length);
    this.remaining = Float64Array.from(overlaps.cliques, (members) =>
      members.reduce((sum, buffer) => sum + this.size[buffer]!, 0),
    );
    this.waiting = Int32Array.from(overlaps.cliques, (members) => members.length);
    this.top = new Float64Array(cliques);
    this.#queued = new Uint8Array(cliques);
  }

  /** Units that may still stay empty in a clique. */
  slack(clique: number): number {
    return this.capacity - this.floor[clique]! - this.remaining[clique]!;
  }

  /** A mark for `undo`. */
  mark(): number {
    return this.#trailArrays.length;
  }

  /** Back to the state in which `mark` was taken. */
  undo(mark: number): void {
    while (this.#trailArrays.length > mark) {
      const index = this.#trailIndices.pop()!;
      this.#trailArrays.pop()![index] = this.#trailValues.pop()!;
    }
  }

  /** Brings a fresh state to its fixed point; false when nothing fits. */
  settle(): boolean {
    if (this.#latest.some((latest) => latest < 0)) return false;
    for (let clique = 0; clique < this.floor.length; clique++) this.#enqueue(clique);
    return this.#propagate();
  }

  /**
   * Places a buffer at its lowest offset; false when that cannot be completed. A buffer must rest on the arena's
   * bottom or on a placed one: whatever floats can be let down, so that some solution has nothing floating.
   */
  place(buffer: number): boolean {
    const start = this.offset[buffer]!;
    const end = start + this.size[buffer]!;
    const first = this.overlaps.first[buffer]!;
    const last = this.overlaps.last[buffer]!;
    if (!this.#rests(buffer, start, first, last)) return false;
    for (let clique = first; clique <= last; clique++) {
      this.#set(this.remaining, clique, this.remaining[clique]! - this.size[buffer]!);
      this.#set(this.waitingKey, clique, (this.waitingKey[clique]! - keyOf(buffer)) | 0);
      this.#set(this.waiting, clique, this.waiting[clique]! - 1);
      this.#moveToPlaced(buffer, clique);
      this.#set(this.top, clique, end);
      if (this.floor[clique]! < end) this.#set(this.floor, clique, end);
      this.#enqueue(clique);
    }
    return this.#propagate();
  }

  /** Assumes that no unplaced member of the clique starts below `floor`; false when that cannot be completed. */
  raise(clique: number, floor: number): boolean {
    this.#set(this.floor, clique, floor);
    this.#enqueue(clique);
    return this.#propagate();
  }

  /** Swaps the buffer behind the unplaced members. Not undone: the same members are unplaced in any order. */
  #moveToPlaced(buffer: number, clique: number): void {
    const members = this.members[clique]!;
    const to = this.waiting[clique]!;
    const from = this.#position[this.#base[buffer]! + clique]!;
    const other = members[to]!;
    members[to] = buffer;
    members[from] = other;
    this.#position[this.#base[buffer]! + clique] = to;
    this.#position[this.#base[other]! + clique] = from;
  }

  #rests(buffer: number, start: number, first: number, last: number): boolean {
    if (start === 0) return true;
    for (let clique = first; clique <= last; clique++) {
      if (this.#align(buffer, this.top[clique]!) === start) return true;
    }
    return false;
  }

  #align(buffer: number, value: number): number {
    const alignment = this.alignment[buffer]!;
    return alignment === 1 ? value : Math.ceil(value / alignment) * alignment;
  }

  #propagate(): boolean {
    let fits = true;
    // A refuted state still empties the queue, so that the next one starts clean.
    for (let head = 0; head < this.#queue.length; head++) {
      const clique = this.#queue[head]!;
      this.#queued[clique] = 0;
      if (fits && this.waiting[clique]! > 0) fits = this.#update(clique);
    }
    this.#queue.length = 0;
    return fits;
  }

  #update(clique: number): boolean {
    const { first, last } = this.overlaps;
    const members = this.members[clique]!;
    const waiting = this.waiting[clique]!;
    const floor = this.floor[clique]!;
    let lowest = Number.POSITIVE_INFINITY;
    let count = 0;
    for (let k = 0; k < waiting; k++) {
      const buffer = members[k]!;
      if (this.offset[buffer]! < floor) {
        const raised = this.#align(buffer, floor);
        if (raised > this.#latest[buffer]!) return false;
        this.#set(this.offset, buffer, raised);
        for (let other = first[buffer]!; other <= last[buffer]!; other++) {
          if (other !== clique) this.#enqueue(other);
        }
      }
      const offset = this.offset[buffer]!;
      if (offset < lowest) {
        lowest = offset;
        count = 1;
      } else if (offset === lowest) count++;
    }
    if (lowest > floor) this.#set(this.floor, clique, lowest);
    if (count !== this.lowest[clique]) this.#set(this.lowest, clique, count);
    return lowest + this.remaining[clique]! <= this.capacity;
  }

  #enqueue(clique: number): void {
    if (this.#queued[clique]) return;
    this.#queued[clique] = 1;
    this.#queue.push(clique);
  }

  #set(array: Float64Array | Int32Array, index: number, value: number): void {
    this.#trailArrays.push(array);
    this.#trailIndices.push(index);
    this.#trailValues.push(array[index]!);
    array[index] = value;
  }
}

/** A pseudo-random 32-bit key of a buffer. */
function keyOf(buffer: number): number {
  return mix(buffer, 0);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
