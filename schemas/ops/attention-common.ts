/** What attention, its backward and its cached form share: head grouping, lengths, cost, and the ceiling of their scratch. */
import { type CallShape, type Dims, roundUp } from "./define-op.ts";

export const groupedHeads = {
  holds: (d: Dims) => d.N! % d.G! === 0,
  message: "query heads must be a multiple of key/value heads",
} as const;

/** How far a step of generation has come and how far it goes: one number a sequence. */
export const stepLengths = {
  kv_length: {
    access: "read",
    shape: ["B", 1],
    dtypes: ["i32"],
    doc: "Positions that the cache holds before the step.",
  },
  new_tokens: {
    access: "read",
    shape: ["B", 1],
    dtypes: ["i32"],
    doc: "Positions of the step, 1 to S; the rows behind them are padding.",
  },
} as const;

export const cacheHoldsStep = {
  holds: (d: Dims) => d.S! <= d.C!,
  message: "a step is longer than the cache",
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

/** Per thread: dq, dk and dv of one head over the whole sequence, and the blocks of one pair. On a device: a number a query. */
export function attentionBackwardScratch({ dims }: CallShape, threads: number): number {
  const block = roundUp(Math.min(BLOCK, dims.S!), 16);
  const width = roundUp(dims.D!, 16);
  const threadsNeed = threads * (4 * (dims.S! * (3 * width + 1) + block * (5 * width + 2 * BLOCK)) + 896);
  return Math.max(threadsNeed, 4 * dims.B! * dims.N! * dims.S!);
}
