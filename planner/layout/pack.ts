/** The allocator as the planner's passes call it: always an answer, and soon. */
import { allocate } from "./allocate.ts";
import type { Block, Packing } from "./blocks.ts";

export { type Block, maxLive, type Packing } from "./blocks.ts";

/** Search states per call: `pack` is asked for every shape that the planner weighs. */
const NODES = 2_000;
/** Search states per block, so that large problems get two runs that can place everything. */
const NODES_PER_BLOCK = 4;

/**
 * Places all blocks; `height` is at least the largest sum of bytes alive at one moment. What is no higher than `free`
 * bytes, which are taken anyway, is low enough.
 */
export function pack(blocks: readonly Block[], free: number = 0): Packing {
  const nodes = Math.max(NODES, NODES_PER_BLOCK * blocks.length);
  const { offsets, bytes } = allocate(blocks, { nodes, capacity: free });
  return { offsets, height: bytes };
}
