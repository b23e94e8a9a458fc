/**
 * Where a training stands between two steps: everything a resume needs beside the tensors. Rows and learning rates are
 * functions of the step, random numbers of (seed, name, index), so the two counters are the whole state; the history is
 * for people and for Transformers' trainer_state.json.
 */
import type { Metric, TrainMetric } from "../schemas/run.ts";

/** What one optimizer step gave. */
export interface StepOutcome {
  /** Mean over the supervised tokens. */
  readonly loss: number;
  /** Before clipping; null where the gradients overflowed and the step was skipped. */
  readonly gradNorm: number | null;
}

export class TrainingState {
  #step: number;
  #adamSteps: number;
  #tokens: number;
  readonly #history: Metric[];

  constructor(from: { step: number; adamSteps: number; tokens: number; history: readonly Metric[] }) {
    this.#step = from.step;
    this.#adamSteps = from.adamSteps;
    this.#tokens = from.tokens;
    this.#history = [...from.history];
  }

  static start(): TrainingState {
    return new TrainingState({ step: 0, adamSteps: 0, tokens: 0, history: [] });
  }

  /** Optimizer steps done, skipped ones included; also the index of the next step. */
  get step(): number {
    return this.#step;
  }

  /** Updates applied. */
  get adamSteps(): number {
    return this.#adamSteps;
  }

  get skipped(): number {
    return this.#step - this.#adamSteps;
  }

  /** Supervised tokens seen. */
  get tokens(): number {
    return this.#tokens;
  }

  get history(): readonly Metric[] {
    return this.#history;
  }

  /** Loss of the first and the last step. */
  get losses(): { first: number; last: number } | null {
    const losses = this.#history.filter(isTrainMetric);
    return losses.length === 0 ? null : { first: losses[0]!.loss, last: losses.at(-1)!.loss };
  }

  /** Counts a step; the row has its number already. */
  completeStep(row: TrainMetric): void {
    this.#step++;
    if (row.grad_norm !== null) this.#adamSteps++;
    this.#tokens += row.tokens;
    this.#history.push(row);
  }

  /** Notes a validation loss. */
  evaluated(row: Exclude<Metric, TrainMetric>): void {
    this.#history.push(row);
  }
}

export function isTrainMetric(row: Metric): row is TrainMetric {
  return "loss" in row;
}
