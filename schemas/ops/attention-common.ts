/** What attention and its backward share: head grouping, cost, and the ceiling of their scratch. */
import { type CallShape, type Dims, roundUp } from "./define-op.ts";

export const groupedHeads = {
  holds: (d: Dims) => d.N! % d.G! === 0,
  message: "query heads must be a multiple of key/value heads",
} as const;

/** One causal S×S×D product, half of it masked away. */
export function causalProduct({ dims }: CallShape): number {
  return dims.B! * dims.N! * dims.S! * dims.S! * dims.D!;
}

const BLOCK = 64;

/** Per thread: the packed queries, one block of values, of scores and of sums, and their softmax state. */
export function attentionScratch({ dims }: CallShape, threads: number): number {
  const block = roundUp(Math.min(BLOCK, dims.S!), 16);
  const width = roundUp(dims.D!, 16);
  return threads * (4 * block * (3 * width + block + 4) + 640);
}

/** Per thread: dq, dk and dv of one head over the whole sequence, and the blocks of one pair. */
export function attentionBackwardScratch({ dims }: CallShape, threads: number): number {
  const block = roundUp(Math.min(BLOCK, dims.S!), 16);
  const width = roundUp(dims.D!, 16);
  return threads * (4 * (dims.S! * (3 * width + 1) + block * (5 * width + 2 * BLOCK)) + 896);
}
