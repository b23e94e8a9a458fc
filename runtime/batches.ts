/** Where a run takes its rows from. */
import { type RowOrder, type StepInputs, stepInputs, stepRows } from "../data/order.ts";
import type { PackedDataset } from "../data/pack.ts";
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
  train: PackedDataset,
  validation: PackedDataset | null,
): BatchSource {
  const { batch_size } = shape;
  const order: RowOrder = {
    rows: train.rows,
    batchSize: batch_size,
    seed: inputs.seed,
    shuffle: training.shuffle,
  };
  return {
    step: (step) => stepInputs(train, stepRows(order, step), batch_size),
    *validation() {
      for (let row = 0; validation !== null && row < validation.rows; row += batch_size) {
        const end = Math.min(row + batch_size, validation.rows);
        const rows = Uint32Array.from({ length: end - row }, (_, index) => row + index);
        yield stepInputs(validation, rows, batch_size);
      }
    },
  };
}
