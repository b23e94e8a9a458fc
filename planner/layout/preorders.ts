/**
 * In which order to try buffers: the properties that the literature sorts by (bytes alive beside the buffer, area,
 * duration, size; Maas et al. 2022, TelaMalloc, and Moffitt 2023, MiniMalloc). None is best everywhere, so that callers
 * try one after another.
 */
import type { Block } from "./blocks.ts";
import type { Overlaps } from "./overlaps.ts";

/** One priority a block, higher means earlier, for each preorder. */
export function preordersOf(
  blocks: readonly Block[],
  { cliques, first, last }: Overlaps,
): readonly Float64Array[] {
  const live = cliques.map((members) => members.reduce((sum, buffer) => sum + blocks[buffer]!.bytes, 0));
  const most = Math.max(...live);
  const rank = (value: (block: Block, index: number) => number) => Float64Array.from(blocks, value);
  const span = (index: number) => last[index]! - first[index]! + 1;
  const total = (index: number) => Math.max(...live.slice(first[index]!, last[index]! + 1));
  return [
    // The area, as a share of the largest thinkable one, only decides between equal totals.
    rank(({ bytes }, index) => total(index) + (bytes * span(index)) / (most * cliques.length)),
    rank(({ start, end, bytes }) => (end - start) * bytes),
    rank(({ start, end }) => end - start),
    rank(({ bytes }) => bytes),
    rank(({ bytes }, index) => bytes * span(index)),
  ];
}
