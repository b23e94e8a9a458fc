/** What attention and its backward share: head grouping, cost, and the ceiling of their scratch. */
import type { CallShape, Dims } from "./define-op.ts";

export const groupedHeads = {
  holds: (d: Dims) => d.N! % d.G! === 0,
  message: "query heads must be a multiple of key/value heads",
} as const;

/** One causal S×S×D product, half of it masked away. */
export function causalProduct({ dims }: CallShape): number {
  return dims.B! * dims.N! * dims.S! * dims.S! * dims.D!;
}

/** Per thread: a few [block, D] and [block, block] f32 tiles with blocks of at most 128 rows, and S-long statistics. */
export function attentionScratch({ dims }: CallShape, threads: number): number {
  const block = Math.min(128, dims.S!);
  return threads * (4 * (8 * block * dims.D! + 4 * block * block + 4 * dims.S!) + 65536);
}
