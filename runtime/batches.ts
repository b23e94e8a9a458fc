/** Where a run takes its rows from. */
import { rowSequence, type StepInputs, stepInputs } from "../data/order.ts";
import type { RowSource } from "../data/row-source.ts";
import type { Plan } from "../schemas/plan.ts";

export interface BatchSource {
  /** Inputs of optimizer step `step`, from 0: a pure function of it, so that a resumed run gets the same rows. */
  step(step: number): StepInputs;
  /** The validation rows, batch by batch; empty where there are none. */
  validation(): Iterable<StepInputs>;
}

/** Rows of prepared datasets, in the plan's order. */
export function packedBatches(
  { shape, training, inputs }: Plan,
  train: RowSource,
  validation: RowSource | null,
): BatchSource {
  const { batch_size: batchSize } = shape;
  const { shuffle } = training;
  const rowsOf = rowSequence({ rows: train.rows, batchSize, seed: inputs.seed, shuffle });
  const batch = (source: RowSource, rows: Uint32Array): StepInputs =>
    stepInputs(source.read(rows), range(0, rows.length), batchSize);
  return {
    step: (step) => batch(train, rowsOf(step)),
    *validation() {
      for (let row = 0; validation !== null && row < validation.rows; row += batchSize) {
        yield batch(validation, range(row, Math.min(row + batchSize, validation.rows)));
      }
    },
  };
}

/** `[start, end)`. */
function range(start: number, end: number): Uint32Array {
  return Uint32Array.from({ length: end - start }, (_, index) => start + index);
}
