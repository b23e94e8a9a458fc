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
  const placed: { offset: number; block: Block }[] = [];
  let height = 0;
  for (const index of order) {
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
