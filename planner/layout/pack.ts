/**
 * Offsets for buffers with lifetimes, so that overlapping lifetimes get disjoint bytes (the dynamic storage
 * allocation problem; Sekar et al. 2023, MiniMalloc, states it in this form).
 *
 * Greedy by size: the largest buffer first, each at the lowest aligned offset that is free during its whole lifetime;
 * among three orders the lowest height wins. Deterministic: ties fall to the earlier start, then to the input order.
 */
import { alignUp } from "../../schemas/units.ts";

/** A buffer to place; alive in [start, end). */
export interface Block {
  readonly start: number;
  readonly end: number;
  readonly bytes: number;
  readonly alignment: number;
}

export interface Packing {
  /** One offset per block, in input order. */
  readonly offsets: readonly number[];
  readonly height: number;
}

type Order = (a: Block, b: Block) => number;

const orders: readonly Order[] = [
  (a, b) => b.bytes - a.bytes || a.start - b.start,
  (a, b) => b.bytes * (b.end - b.start) - a.bytes * (a.end - a.start) || b.bytes - a.bytes,
  (a, b) => b.end - b.start - (a.end - a.start) || b.bytes - a.bytes,
];

/** Places all blocks; `height` is at least the largest sum of bytes alive at one moment. */
export function pack(blocks: readonly Block[]): Packing {
  const floor = maxLive(blocks);
  let best: Packing | undefined;
  for (const order of orders) {
    const packing = packInOrder(blocks, order);
    if (!best || packing.height < best.height) best = packing;
    if (best.height === floor) break;
  }
  return best!;
}

/** The largest sum of bytes alive at one moment: a lower bound of every packing. */
export function maxLive(blocks: readonly Block[]): number {
  const events = blocks.flatMap(({ start, end, bytes }) => [
    { at: start, change: bytes },
    { at: end, change: -bytes },
  ]);
  events.sort((a, b) => a.at - b.at || a.change - b.change);
  let live = 0;
  let peak = 0;
  for (const { change } of events) {
    live += change;
    peak = Math.max(peak, live);
  }
  return peak;
}

function packInOrder(blocks: readonly Block[], order: Order): Packing {
  const offsets = new Array<number>(blocks.length).fill(0);
  const placed: { offset: number; block: Block }[] = [];
  let height = 0;
  const indices = blocks.map((_, index) => index).sort((a, b) => order(blocks[a]!, blocks[b]!) || a - b);
  for (const index of indices) {
    const block = blocks[index]!;
    let offset = 0;
    for (const other of placed) {
      if (other.block.end <= block.start || block.end <= other.block.start) continue;
      if (offset + block.bytes <= other.offset) break;
      offset = Math.max(offset, alignUp(other.offset + other.block.bytes, block.alignment));
    }
    offsets[index] = offset;
    insertByOffset(placed, { offset, block });
    height = Math.max(height, offset + block.bytes);
  }
  return { offsets, height };
}

function insertByOffset<Item extends { offset: number }>(sorted: Item[], item: Item): void {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]!.offset <= item.offset) low = middle + 1;
    else high = middle;
  }
  sorted.splice(low, 0, item);
}
