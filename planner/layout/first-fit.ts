/**
 * First fit: buffers in a given order, each at the lowest aligned offset that is free during its whole lifetime.
 * Deterministic: ties fall to the input order.
 */
import { alignUp } from "../../schemas/units.ts";
import type { Block, Packing } from "./blocks.ts";

type Order = (a: Block, b: Block) => number;

const orders: readonly Order[] = [
  (a, b) => b.bytes - a.bytes || a.start - b.start,
  (a, b) => b.bytes * (b.end - b.start) - a.bytes * (a.end - a.start) || b.bytes - a.bytes,
  (a, b) => b.end - b.start - (a.end - a.start) || b.bytes - a.bytes,
];

/** The lowest packing of three orders: largest first, largest area first, longest lifetime first. */
export function greedy(blocks: readonly Block[], goal: number): Packing {
  let best: Packing | undefined;
  for (const order of orders) {
    const packing = firstFit(blocks, sortedBy(blocks, order));
    if (!best || packing.height < best.height) best = packing;
    if (best.height <= goal) break;
  }
  return best!;
}

function sortedBy(blocks: readonly Block[], order: Order): readonly number[] {
  return blocks.map((_, index) => index).sort((a, b) => order(blocks[a]!, blocks[b]!) || a - b);
}

function firstFit(blocks: readonly Block[], order: readonly number[]): Packing {
  const offsets = new Array<number>(blocks.length).fill(0);
  const placed = new Placed(blocks.length);
  let height = 0;
  for (const index of order) {
    const block = blocks[index]!;
    const offset = placed.lowest(block);
    placed.insert(block, offset);
    offsets[index] = offset;
    height = Math.max(height, offset + block.bytes);
  }
  return { offsets, height };
}

/** Blocks that have an offset, from the lowest up. Flat arrays: every block looks at most of those before it. */
class Placed {
  readonly #starts: Int32Array;
  readonly #ends: Int32Array;
  readonly #bottoms: Float64Array;
  readonly #tops: Float64Array;
  #count = 0;

  constructor(capacity: number) {
    this.#starts = new Int32Array(capacity);
    this.#ends = new Int32Array(capacity);
    this.#bottoms = new Float64Array(capacity);
    this.#tops = new Float64Array(capacity);
  }

  /** The lowest offset at which the block meets none of them. */
  lowest({ start, end, bytes, alignment }: Block): number {
    let offset = 0;
    for (let k = 0; k < this.#count; k++) {
      if (this.#ends[k]! <= start || end <= this.#starts[k]!) continue;
      if (offset + bytes <= this.#bottoms[k]!) break;
      offset = Math.max(offset, alignUp(this.#tops[k]!, alignment));
    }
    return offset;
  }

  /** Behind those of the same offset. */
  insert({ start, end, bytes }: Block, offset: number): void {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#bottoms[middle]! <= offset) low = middle + 1;
      else high = middle;
    }
    for (const array of [this.#starts, this.#ends, this.#bottoms, this.#tops]) {
      array.copyWithin(low + 1, low, this.#count);
    }
    this.#starts[low] = start;
    this.#ends[low] = end;
    this.#bottoms[low] = offset;
    this.#tops[low] = offset + bytes;
    this.#count++;
  }
}
