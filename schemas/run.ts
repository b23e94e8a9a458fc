/**
 * The files of a run directory, beside plan.json.
 *
 *     runs/NAME/  run.json  metrics.jsonl
 *                 checkpoint-500/  trainer_state.json  lema_state.json  manifest.json  (and the tensors)
 *
 * What lema writes it validates before writing; what it reads it validates before believing. `trainer_state.json` has
 * the shape that Transformers reads, so unknown keys are kept there.
 */
import * as z from "zod";
import { laneName, programName } from "./plan.ts";

export const RUN_FORMAT_VERSION = 1;

const count = z.int().nonnegative();
const positive = z.int().positive();
/** As plan.json spells it. */
const planId = z.string().min(1);
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
/** Seconds since the start of the run, or of a duration. */
const seconds = z.number().nonnegative();

/** Peak bytes of one memory: what the plan proved and what the process measured. */
const peak = z.strictObject({
  planned: count.describe("Bytes that the plan proved."),
  measured: count.nullable().describe("Peak bytes of the process; null until it has run."),
});

/** Bytes in use on the device, by whatever program: what others use shows in all of them. */
const device = z.strictObject({
  before: count.describe("Before the arena: the context, the kernels, and other programs."),
  loaded: count.describe("With all that a run needs."),
  peak: count.describe("The most after any step; more than `loaded` was taken since."),
});

/** run.json: the record that makes a run comparable and replayable. */
export const runSchema = z
  .strictObject({
    format_version: z.literal(RUN_FORMAT_VERSION).describe("Version of this file's format."),
    lema_version: z.string().describe("Version of lema that ran."),
    plan_id: planId.describe("Identity of the executed plan."),
    status: z
      .enum(["running", "finished", "stopped", "failed"])
      .describe("`running` in a run that no process owns means that it was killed."),
    backend: z.enum(["cpu", "reference", "cuda", "cuda-emulated"]).describe("The backend that computed."),
    device: z
      .string()
      .describe(
        "Name of the device, its instruction set and its matrix library: bits are comparable on the same one.",
      ),
    build: digest.describe("Digest of the native module: bits are comparable within one build."),
    threads: positive.describe("Compute threads; they never change a bit."),
    started_at: z.iso.datetime().describe("Wall clock at the start, UTC."),
    finished_at: z.iso.datetime().nullable().describe("Wall clock at the end, UTC; null while it runs."),
    resumed_from: z.string().nullable().describe("The checkpoint that this run went on from."),
    steps: count.describe("Optimizer steps done, those before a resume included."),
    total_steps: positive.describe("Optimizer steps of the whole training."),
    tokens: count.describe("Supervised tokens seen."),
    loss: z
      .strictObject({ first: z.number().describe("First step."), last: z.number().describe("Last step.") })
      .nullable()
      .describe("Training loss of the first and the last step."),
    memory: z
      .strictObject({
        ram: peak.describe("Arena + reserve (and an emulated vram arena), against peak RssAnon + RssShmem."),
        vram: peak
          .nullable()
          .describe("Null in a two-tier run; measured is what the device had in use at its peak."),
        device: device.nullable().default(null).describe("Null where no device computed."),
      })
      .describe("Peak bytes, planned and measured."),
    adapter: digest
      .nullable()
      .describe("Digest of final/adapter_model.safetensors; null until the run is finished."),
  })
  .meta({ title: "lema run record" });
export type RunRecord = z.output<typeof runSchema>;

/** A row of metrics.jsonl after an optimizer step. */
export const trainMetricSchema = z.strictObject({
  step: positive.describe("Optimizer step, from 1."),
  loss: z.number().describe("Mean over the supervised tokens of the step."),
  grad_norm: z
    .number()
    .nonnegative()
    .nullable()
    .describe("Global norm before clipping; null where it overflowed and the step was skipped."),
  lr: z.number().nonnegative().describe("Learning rate of the step."),
  tokens: count.describe("Supervised tokens of the step."),
  seconds: seconds.describe("Wall time of the step."),
  adapter: digest
    .optional()
    .describe(
      "Digest of the adapter's values after the step, tensor by tensor; absent where an earlier lema ran.",
    ),
});
export type TrainMetric = z.output<typeof trainMetricSchema>;

/** A row of metrics.jsonl after a validation pass. */
export const evalMetricSchema = z.strictObject({
  step: count.describe("Optimizer steps done before the pass."),
  eval_loss: z.number().describe("Mean over the supervised tokens of the validation rows."),
});
export type EvalMetric = z.output<typeof evalMetricSchema>;

export const metricSchema = z
  .union([trainMetricSchema, evalMetricSchema])
  .meta({ title: "lema metrics.jsonl row" });
export type Metric = z.output<typeof metricSchema>;

/** manifest.json, written last: a checkpoint without it, or with a file that does not match it, does not exist. */
export const manifestSchema = z.strictObject({
  format_version: z.literal(RUN_FORMAT_VERSION),
  files: z.record(
    z.string().regex(/^[^/\\]+$/, { error: "expected a file name without directories" }),
    z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/), size: count }),
  ),
});
export type Manifest = z.output<typeof manifestSchema>;

/** trainer_state.json as Transformers writes it, as far as lema fills it. */
export const trainerStateSchema = z.looseObject({
  best_global_step: count.nullable(),
  best_metric: z.number().nullable(),
  best_model_checkpoint: z.string().nullable(),
  /** Fractional epochs done. */
  epoch: z.number().nonnegative(),
  eval_steps: positive,
  global_step: count,
  is_hyper_param_search: z.literal(false),
  is_local_process_zero: z.literal(true),
  is_world_process_zero: z.literal(true),
  log_history: z.array(z.looseObject({ epoch: z.number().nonnegative(), step: count })),
  logging_steps: positive,
  max_steps: positive,
  num_input_tokens_seen: count,
  num_train_epochs: positive,
  save_steps: positive,
  stateful_callbacks: z.record(z.string(), z.unknown()),
  total_flos: z.number().nonnegative(),
  train_batch_size: positive,
  trial_name: z.null(),
  trial_params: z.null(),
});
export type TrainerState = z.output<typeof trainerStateSchema>;

/** lema_state.json: what a resume needs for the same bits, beside parameters and moments. */
export const lemaStateSchema = z.strictObject({
  format_version: z.literal(RUN_FORMAT_VERSION),
  plan_id: planId,
  /** Optimizer steps done, skipped ones included. */
  step: count,
  /** AdamW's own counter: steps done without the skipped ones. */
  adam_step: count,
  /** Supervised tokens seen. */
  tokens: count,
  /** The next row to train on: `row` counts within the epoch's order. */
  position: z.strictObject({ epoch: count, row: count }),
  seed: z.int().min(0).max(0xffff_ffff),
  /** Null where the precision needs none. */
  loss_scale: z.strictObject({ scale: z.number().positive(), good_steps: count }).nullable(),
});
export type LemaState = z.output<typeof lemaStateSchema>;

/** trace.json: when each instruction of the last step ran, in nanoseconds from the step's start. */
export const runTraceSchema = z.object({
  program: programName,
  instructions: z.array(
    z.object({
      id: z.string(),
      lane: laneName,
      start: z.number().nonnegative(),
      /** Null when the step ended before the instruction did. */
      end: z.number().nonnegative().nullable(),
      /** Time inside [start, end) that it waited for other lanes. */
      waited: z.number().nonnegative(),
    }),
  ),
});
export type RunTrace = z.output<typeof runTraceSchema>;
