/**
 * Which rows make which optimizer step, and the arrays that a step reads.
 *
 * Invariant: the rows of step k depend on (row count, batch size, seed, shuffle, k) and on nothing that happened before, so a
 * resumed run goes on with exactly the rows that the uninterrupted run would have had.
 */

import { shuffle } from "../schemas/counter-rng.ts";
import { invariant } from "../schemas/diagnostic.ts";
import { IGNORED } from "./encode.ts";
import type { PackedDataset } from "./pack.ts";

export interface RowOrder {
  /** Rows of the dataset. */
  readonly rows: number;
  /** Rows in one optimizer step; the last step of an epoch takes what is left. */
  readonly batchSize: number;
  readonly seed: number;
  /** Each epoch has its own seeded order; without it, rows keep theirs. */
  readonly shuffle: boolean;
}

/** Optimizer steps in one pass over the data. */
export function stepsPerEpoch({ rows, batchSize }: Pick<RowOrder, "rows" | "batchSize">): number {
  return Math.ceil(rows / batchSize);
}

/** Where step `step` (from 0) begins: its epoch, and how many rows of that epoch came before it. */
export function position(order: RowOrder, step: number): { epoch: number; row: number } {
  const perEpoch = stepsPerEpoch(order);
  return { epoch: Math.floor(step / perEpoch), row: (step % perEpoch) * order.batchSize };
}

/** The rows of step `step` (from 0); fewer than `batchSize` at the end of an epoch. */
export function stepRows(order: RowOrder, step: number): Uint32Array {
  return rowSequence(order)(step);
}

/** `stepRows` for one step after the other: an epoch is put into order once, not at every step. */
export function rowSequence(order: RowOrder): (step: number) => Uint32Array {
  let current: { readonly epoch: number; readonly rows: Uint32Array } | undefined;
  return (step) => {
    const { epoch, row } = position(order, step);
    if (current?.epoch !== epoch) current = { epoch, rows: rowsOfEpoch(order, epoch) };
    return current.rows.slice(row, row + order.batchSize);
  };
}

/** All rows in the order of epoch `epoch`. */
function rowsOfEpoch({ rows, seed, shuffle: shuffles }: RowOrder, epoch: number): Uint32Array {
  return shuffles
    ? shuffle(rows, seed, `data.epoch.${epoch}`)
    : Uint32Array.from({ length: rows }, (_, i) => i);
}

/** What one step reads; every array is `[batchSize, sequenceLength]`, row-major. */
export interface StepInputs {
  readonly tokens: Int32Array;
  readonly labels: Int32Array;
  readonly positions: Int32Array;
  readonly segmentStart: Int32Array;
  /** Labels other than −100 in the whole step: what the loss is averaged over. */
  readonly supervisedTokens: number;
}

/** Gathers `rows`; a short step is filled up with rows that nothing is learned from. */
export function stepInputs(dataset: PackedDataset, rows: Uint32Array, batchSize: number): StepInputs {
  const length = dataset.sequenceLength;
  invariant(rows.length <= batchSize, `a step of ${rows.length} rows does not fit a batch of ${batchSize}`);
  const inputs = {
    tokens: new Int32Array(batchSize * length),
    labels: new Int32Array(batchSize * length).fill(IGNORED),
    positions: Int32Array.from({ length: batchSize * length }, (_, t) => t % length),
    segmentStart: new Int32Array(batchSize * length),
  };
  let supervisedTokens = 0;
  for (const [slot, row] of rows.entries()) {
    const source = [row * length, (row + 1) * length] as const;
    inputs.tokens.set(dataset.tokens.subarray(...source), slot * length);
    inputs.labels.set(dataset.labels.subarray(...source), slot * length);
    inputs.positions.set(dataset.positions.subarray(...source), slot * length);
    inputs.segmentStart.set(dataset.segmentStart.subarray(...source), slot * length);
    supervisedTokens += dataset.supervised[row]!;
  }
  return { ...inputs, supervisedTokens };
}
