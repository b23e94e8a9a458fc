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

/** Flat arrays: every block looks at most of those before it. */
function firstFit(blocks: readonly Block[], order: readonly number[]): Packing {
  const starts = Float64Array.from(blocks, ({ start }) => start);
  const ends = Float64Array.from(blocks, ({ end }) => end);
  const offsets = new Float64Array(blocks.length);
  const tops = new Float64Array(blocks.length);
  /** The first `count` are the blocks that have an offset, from the lowest up. */
  const placed = new Int32Array(blocks.length);
  let height = 0;
  order.forEach((index, count) => {
    const { start, end, bytes, alignment } = blocks[index]!;
    let offset = 0;
    for (let k = 0; k < count; k++) {
      const other = placed[k]!;
      if (ends[other]! <= start || end <= starts[other]!) continue;
      if (offset + bytes <= offsets[other]!) break;
      offset = Math.max(offset, alignUp(tops[other]!, alignment));
    }
    offsets[index] = offset;
    tops[index] = offset + bytes;
    height = Math.max(height, offset + bytes);
    insertByOffset(placed, count, index, offsets);
  });
  return { offsets: Array.from(offsets), height };
}

/** Keeps the first `count` of `placed` sorted, and puts `index` behind those of the same offset. */
function insertByOffset(placed: Int32Array, count: number, index: number, offsets: Float64Array): void {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (offsets[placed[middle]!]! <= offsets[index]!) low = middle + 1;
    else high = middle;
  }
  placed.copyWithin(low + 1, low, count);
  placed[low] = index;
}
