/** The allocator as the planner's passes call it: always an answer, and soon. */
import { allocate } from "./allocate.ts";
import type { Block, Packing } from "./blocks.ts";

export { type Block, maxLive, type Packing } from "./blocks.ts";

/** Where first fit wastes bytes: `pack` is asked for every shape that the planner weighs. */
const NODES = 5_000;

/** Places all blocks; `height` is at least the largest sum of bytes alive at one moment. */
export function pack(blocks: readonly Block[]): Packing {
  const { offsets, bytes } = allocate(blocks, { nodes: NODES });
  return { offsets, height: bytes };
}
