/**
 * The two state files of a checkpoint: lema_state.json, which a resume reads, and trainer_state.json, which
 * Transformers and the tools around it read. Both are functions of the plan and the training state.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { z } from "zod";
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import type { Plan } from "../schemas/plan.ts";
import {
  type LemaState,
  lemaStateSchema,
  type Metric,
  metricSchema,
  RUN_FORMAT_VERSION,
  type TrainerState,
  trainerStateSchema,
} from "../schemas/run.ts";
import { isTrainMetric, TrainingState } from "./training-state.ts";

export const LEMA_STATE_FILE = "lema_state.json";
export const TRAINER_STATE_FILE = "trainer_state.json";

export function lemaState(plan: Plan, state: TrainingState): LemaState {
  return lemaStateSchema.parse({
    format_version: RUN_FORMAT_VERSION,
    plan_id: plan.plan_id,
    step: state.step,
    adam_step: state.adamSteps,
    tokens: state.tokens,
    position: dataPosition(plan, state.step),
    seed: plan.inputs.seed,
    loss_scale: null,
  });
}

/** Where step `step` begins in the data. */
export function dataPosition(
  { training, shape }: Pick<Plan, "training" | "shape">,
  step: number,
): LemaState["position"] {
  const { steps_per_epoch } = training;
  return {
    epoch: Math.floor(step / steps_per_epoch),
    row: (step % steps_per_epoch) * shape.batch_size,
  };
}

export function trainerState(plan: Plan, state: TrainingState): TrainerState {
  const { training, shape } = plan;
  const { steps, steps_per_epoch, checkpoint_every, evaluate_every } = training;
  const epochOf = (step: number): number => step / steps_per_epoch;
  return trainerStateSchema.parse({
    best_global_step: null,
    best_metric: null,
    best_model_checkpoint: null,
    epoch: epochOf(state.step),
    eval_steps: evaluate_every ?? steps,
    global_step: state.step,
    is_hyper_param_search: false,
    is_local_process_zero: true,
    is_world_process_zero: true,
    log_history: state.history.map((row) => logEntry(row, epochOf(row.step))),
    logging_steps: 1,
    max_steps: steps,
    num_input_tokens_seen: state.step * shape.tokens_per_step,
    num_train_epochs: Math.ceil(steps / steps_per_epoch),
    save_steps: checkpoint_every ?? steps,
    stateful_callbacks: {},
    total_flos: state.step * flopsPerStep(plan),
    train_batch_size: shape.batch_size,
    trial_name: null,
    trial_params: null,
  });
}

/** Reads the state back; `directory` is a checkpoint whose manifest was checked. */
export async function readState(directory: string): Promise<{ lema: LemaState; training: TrainingState }> {
  const lema = await readJson(join(directory, LEMA_STATE_FILE), lemaStateSchema);
  const history = await readJson(join(directory, TRAINER_STATE_FILE), historySchema);
  const { step, adam_step: adamSteps, tokens } = lema;
  return { lema, training: new TrainingState({ step, adamSteps, tokens, history }) };
}

/** Multiply-adds count two; what the plan's train-step computes. */
function flopsPerStep({ procedures, programs }: Plan): number {
  const flops = new Map(procedures.map((procedure) => [procedure.id, procedure.flops]));
  return programs["train-step"].steady.reduce(
    (sum, instruction) => sum + (instruction.kind === "run" ? (flops.get(instruction.procedure) ?? 0) : 0),
    0,
  );
}

type LogEntry = TrainerState["log_history"][number];

const historySchema = trainerStateSchema.transform(({ log_history }) => log_history.map(metricOf));

/** Transformers' names; `tokens` and `seconds` are ours. */
function logEntry(row: Metric, epoch: number): LogEntry {
  if (!isTrainMetric(row)) return { epoch, ...row };
  const { lr, ...rest } = row;
  return { epoch, ...rest, learning_rate: lr };
}

function metricOf({ epoch: _, learning_rate, ...row }: LogEntry): Metric {
  return metricSchema.parse(learning_rate === undefined ? row : { ...row, lr: learning_rate });
}

async function readJson<Schema extends z.ZodType>(path: string, schema: Schema): Promise<z.output<Schema>> {
  let reason: string;
  try {
    const parsed = schema.safeParse(JSON.parse(await readFile(path, "utf8")));
    if (parsed.success) return parsed.data;
    reason = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ");
  } catch (error) {
    reason = (error as Error).message;
  }
  const summary = `${path} is damaged: ${reason}`;
  throw new DiagnosticError(diagnostic("checkpoint.damaged", { summary, where: { file: path } }));
}
