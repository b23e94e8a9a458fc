/**
 * The training loop. Every step is one call into the engine; between two steps stand metrics, validation, checkpoints
 * and the wish to stop.
 *
 * Invariants: a step that gave NaN or infinity leaves no trace in metrics or checkpoints; what is on disk is at any
 * moment enough to go on from the newest checkpoint to the same bits.
 */
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import type { Plan } from "../schemas/plan.ts";
import type { EvalMetric, RunRecord, TrainMetric } from "../schemas/run.ts";
import type { BatchSource } from "./batches.ts";
import type { PeakMemory } from "./memory.ts";
import type { RunOutput } from "./run-output.ts";
import { scalarsOf } from "./scalars.ts";
import { learningRate } from "./schedule.ts";
import type { PlanSession, StepResult } from "./session.ts";
import type { TrainingState } from "./training-state.ts";

/** What the loop needs of an engine. */
export type TrainingSession = Pick<PlanSession, "start" | "step" | "evaluate" | "checkpoint" | "trace">;

/** What the loop works on. */
export interface TrainingParts {
  readonly plan: Plan;
  readonly session: TrainingSession;
  readonly state: TrainingState;
  readonly batches: BatchSource;
  /** Null: nothing is written. */
  readonly output: RunOutput | null;
  /** The checkpoint that holds `state`, if one does. */
  readonly saved: string | null;
  readonly memory: PeakMemory;
  /** Stop cleanly once this many steps are done in all; null: at the plan's end. */
  readonly stopAfter: number | null;
  /** Stops after the step under way, with a checkpoint. */
  readonly stop: AbortSignal | null;
  /** Writes the instruction times of the last step to trace.json. */
  readonly trace: boolean;
  readonly hooks: TrainingHooks;
}

export interface StepReport extends TrainMetric {
  readonly totalSteps: number;
  /** Peak bytes of the process so far. */
  readonly peakBytes: number | null;
  /** Bytes read from disk in the step, over-reads included. */
  readonly bytesRead: number;
}

export interface TrainingHooks {
  /** After each step; the next one waits for it, so that gradients and parameters can be read. */
  readonly onStep?: (report: StepReport) => void | Promise<void>;
  readonly onEvaluation?: (row: EvalMetric) => void;
  /** With the path of the checkpoint. */
  readonly onCheckpoint?: (path: string) => void;
}

/** How a loop ended. */
export interface TrainingEnd {
  readonly status: Extract<RunRecord["status"], "finished" | "stopped">;
  /** Of the last validation pass. */
  readonly evalLoss: number | null;
  /** The newest checkpoint, which `final/` is at the end. */
  readonly checkpoint: string | null;
}

/** In fp16 an overflow now and then is normal; that many in a row are not. */
const MAX_SKIPPED_IN_A_ROW = 25;

export class Training {
  readonly #parts: TrainingParts;
  #saved: { readonly step: number; readonly path: string } | null;
  #evalLoss: number | null = null;
  #skippedInARow = 0;
  #trace: ReturnType<TrainingSession["trace"]> = [];

  constructor(parts: TrainingParts) {
    this.#parts = parts;
    this.#saved = parts.saved === null ? null : { step: parts.state.step, path: parts.saved };
  }

  /** From the engine's prologue to the plan's end, or to a wish to stop. */
  async run(): Promise<TrainingEnd> {
    const { plan, session, state, stop, stopAfter, output, hooks, trace } = this.#parts;
    const { steps } = plan.training;
    const target = Math.min(steps, stopAfter ?? steps);
    await session.start();
    while (state.step < target && stop?.aborted !== true) {
      await this.#step();
      if (this.#evaluates()) await this.#evaluate();
      if (isMultiple(state.step, plan.training.checkpoint_every)) await this.#checkpoint();
    }
    const finished = state.step === steps;
    if (finished && output !== null) {
      const path = await output.finish(state, (sinks) => session.checkpoint(sinks));
      this.#saved = { step: state.step, path };
      hooks.onCheckpoint?.(path);
    } else if (this.#saved?.step !== state.step) {
      await this.#checkpoint();
    }
    if (trace) await output?.trace({ program: "train-step", instructions: [...this.#trace] });
    const checkpoint = this.#saved?.path ?? null;
    return { status: finished ? "finished" : "stopped", evalLoss: this.#evalLoss, checkpoint };
  }

  async #step(): Promise<void> {
    const { plan, session, state, batches, output, memory, hooks } = this.#parts;
    const { training } = plan;
    const began = performance.now();
    const inputs = batches.step(state.step);
    const lr = learningRate(training, state.step);
    const { supervisedTokens } = inputs;
    const { optimizer } = training;
    const scalars = scalarsOf({ optimizer, learningRate: lr, adamSteps: state.adamSteps, supervisedTokens });
    const result = await session.step(inputs, scalars);
    if (this.#parts.trace) this.#trace = session.trace();
    this.#refuseNonFinite(state.step + 1, result);
    const row: TrainMetric = {
      step: state.step + 1,
      loss: result.loss,
      grad_norm: result.skipped ? null : result.gradNorm,
      lr,
      tokens: supervisedTokens,
      seconds: (performance.now() - began) / 1000,
      adapter: result.adapter,
    };
    state.completeStep(row);
    await output?.stepped(row);
    const bytesRead = result.stats.bytesRead;
    await hooks.onStep?.({ ...row, totalSteps: training.steps, peakBytes: memory.sample(), bytesRead });
  }

  #refuseNonFinite(step: number, { loss, gradNorm, skipped }: StepResult): void {
    this.#skippedInARow = skipped ? this.#skippedInARow + 1 : 0;
    const mayOverflow =
      this.#parts.plan.numerics.precision === "fp16" && this.#skippedInARow < MAX_SKIPPED_IN_A_ROW;
    if (Number.isFinite(loss) && (!skipped || mayOverflow)) return;
    const what = Number.isFinite(loss) ? `gradient norm is ${gradNorm}` : `loss is ${loss}`;
    throw new DiagnosticError(
      diagnostic("run.non-finite", {
        summary: `the ${what} in step ${step}`,
        detail: "the step was not applied, and no checkpoint was written after it",
        hint: "lower the learning rate, lengthen the warm-up, or look for broken rows in the data; then resume from the last checkpoint or begin anew",
      }),
    );
  }

  /** At the plan's interval, at the end of each epoch, and at the end. */
  #evaluates(): boolean {
    const { step } = this.#parts.state;
    const { evaluate_every, steps_per_epoch, steps } = this.#parts.plan.training;
    if (evaluate_every === null) return false;
    return isMultiple(step, evaluate_every) || isMultiple(step, steps_per_epoch) || step === steps;
  }

  /** Token-weighted mean over the validation rows. */
  async #evaluate(): Promise<void> {
    const { session, batches, state, output, hooks } = this.#parts;
    let sum = 0;
    let tokens = 0;
    for (const inputs of batches.validation()) {
      sum += (await session.evaluate(inputs)) * inputs.supervisedTokens;
      tokens += inputs.supervisedTokens;
    }
    if (tokens === 0) return;
    const row: EvalMetric = { step: state.step, eval_loss: sum / tokens };
    this.#evalLoss = row.eval_loss;
    state.evaluated(row);
    await output?.evaluated(row);
    hooks.onEvaluation?.(row);
  }

  async #checkpoint(): Promise<void> {
    const { session, state, output, hooks } = this.#parts;
    if (output === null) return;
    const path = await output.checkpoint(state, (sinks) => session.checkpoint(sinks));
    this.#saved = { step: state.step, path };
    hooks.onCheckpoint?.(path);
  }
}

function isMultiple(step: number, interval: number | null): boolean {
  return interval !== null && step % interval === 0;
}
