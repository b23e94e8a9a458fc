/**
 * Lowest valley first: the lowest stretch of the skyline takes the best buffer that fits between its walls in time; a
 * stretch that nothing fits is filled up to its lower wall (the best-fit heuristic of Burke, Kendall and Whitwell 2004,
 * with the places in time given). Where first fit looks at buffers one by one this looks at holes, which suits stacks
 * of many buffers. Deterministic: ties fall to the earlier valley and to the input order.
 */
import { alignUp } from "../../schemas/units.ts";
import type { Block, Packing } from "./blocks.ts";
import { type Overlaps, overlapsOf } from "./overlaps.ts";
import { preordersOf } from "./preorders.ts";

/** The lowest packing over all preorders; the first at or below `goal` ends it. Lifetimes must not be empty. */
export function bestFit(blocks: readonly Block[], goal: number): Packing {
  const overlaps = overlapsOf(blocks);
  let best: Packing | undefined;
  for (const priority of preordersOf(blocks, overlaps)) {
    const packing = fillValleys(blocks, overlaps, priority);
    if (!best || packing.height < best.height) best = packing;
    if (best.height <= goal) break;
  }
  return best!;
}

function fillValleys(blocks: readonly Block[], overlaps: Overlaps, priority: Float64Array): Packing {
  const { cliques, first, last } = overlaps;
  const offsets = new Array<number>(blocks.length).fill(0);
  /** The first `left` are the buffers without an offset, in the order of priority. */
  const unplaced = Int32Array.from(blocks, (_, index) => index).sort(
    (a, b) => priority[b]! - priority[a]! || a - b,
  );
  const waiting = Int32Array.from(cliques, (members) => members.length);
  // A clique without unplaced members is a wall without end.
  const floor = new Float64Array(cliques.length);
  let height = 0;
  for (let left = blocks.length; left > 0; ) {
    const from = lowestOf(floor);
    const bottom = floor[from]!;
    let to = from + 1;
    while (to < floor.length && floor[to] === bottom) to++;
    let found = 0;
    while (found < left && (first[unplaced[found]!]! < from || to <= last[unplaced[found]!]!)) found++;
    if (found === left) {
      const wall = Math.min(
        floor[from - 1] ?? Number.POSITIVE_INFINITY,
        floor[to] ?? Number.POSITIVE_INFINITY,
      );
      floor.fill(wall, from, to);
      continue;
    }
    const buffer = unplaced[found]!;
    unplaced.copyWithin(found, found + 1, left--);
    const { bytes, alignment } = blocks[buffer]!;
    const offset = alignUp(bottom, alignment);
    const end = offset + bytes;
    offsets[buffer] = offset;
    height = Math.max(height, end);
    for (let clique = first[buffer]!; clique <= last[buffer]!; clique++) {
      waiting[clique]!--;
      floor[clique] = waiting[clique] === 0 ? Number.POSITIVE_INFINITY : end;
    }
  }
  return { offsets, height };
}

/** The first index of the smallest value. */
function lowestOf(values: Float64Array): number {
  let lowest = 0;
  for (let index = 1; index < values.length; index++) if (values[index]! < values[lowest]!) lowest = index;
  return lowest;
}
