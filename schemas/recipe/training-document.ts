/** The `training` section of a recipe as a user writes it. */
import * as z from "zod";
import { PRECISIONS, SCHEDULES } from "./resolved.ts";
import { rule } from "./rule.ts";
import { shareOrSteps } from "./values.ts";

export const DEFAULT_BATCH_SIZE = 8;

/** Of the engine's step input `step_size`. */
const MAX_STEP_SIZE = 1e6;

const positiveCount = z.int().positive();
const beta = z.number().min(0).lt(1);

const adamw = z.strictObject({
  type: z.literal("adamw").prefault("adamw").describe("The optimizer."),
  weight_decay: z.number().nonnegative().prefault(0).describe("Decoupled weight decay."),
  betas: z
    .tuple([beta, beta], { error: "expected two numbers in [0, 1) such as `[0.9, 0.999]`" })
    .prefault([0.9, 0.999])
    .describe("Decay of the first and second moment."),
  eps: z.number().positive().prefault(1e-8).describe("Added to the root of the second moment."),
});

const optimizer = z
  .union([z.literal("adamw").transform((type) => adamw.parse({ type })), adamw])
  .prefault("adamw")
  .describe("AdamW as PyTorch has it; `optimizer: adamw` takes the defaults.");

const scheduleOptions = z.strictObject({
  type: z.enum(SCHEDULES).describe("Shape of the learning rate after warm-up, as in Transformers."),
  warmup: shareOrSteps
    .prefault(0)
    .describe("Linear warm-up from 0: a share of all steps (`3%`) or a count (`100 steps`)."),
});

const schedule = z
  .union([z.enum(SCHEDULES).transform((type) => scheduleOptions.parse({ type })), scheduleOptions])
  .prefault("cosine")
  .describe("Learning-rate schedule; `schedule: cosine` has no warm-up.");

/** A plan lists every micro-batch of a step. */
export const MOST_MICRO_BATCHES = 1024;

export const training = z
  .strictObject({
    epochs: positiveCount
      .optional()
      .describe("Passes over the training rows. Default 1, unless `steps` is given."),
    steps: positiveCount.optional().describe("Optimizer steps, instead of `epochs`."),
    batch_size: positiveCount
      .optional()
      .describe("Sequences in one optimizer step. Default 8, unless `tokens_per_step` is given."),
    tokens_per_step: positiveCount
      .optional()
      .describe("Tokens in one optimizer step, instead of `batch_size`; a multiple of `sequence.length`."),
    micro_batch: z
      .union([z.literal("auto"), positiveCount], { error: "expected `auto` or a whole number of sequences" })
      .prefault("auto")
      .describe("Sequences that move together; must divide the batch size. Never changes a result."),
    optimizer,
    learning_rate: z.number().positive().prefault(1e-4).describe("Peak learning rate."),
    schedule,
    max_grad_norm: z
      .union([z.literal("none"), z.number().positive()], { error: "expected a positive number, or `none`" })
      .prefault(1)
      .describe("Global-norm clipping threshold, or `none`."),
    precision: z
      .enum(PRECISIONS)
      .prefault("f32")
      .describe(
        "Compute dtype of the matrix products. Checked against the hardware; weights may be stored in any.",
      ),
    seed: z
      .int()
      .min(0)
      .max(0xffff_ffff)
      .prefault(42)
      .describe("Seed of the row order and of the adapter's initial values."),
  })
  .refine(
    ({ epochs, steps }) => epochs === undefined || steps === undefined,
    rule(["steps"], [], "`epochs` and `steps` exclude each other", "keep one of them"),
  )
  .refine(
    (value) => value.batch_size === undefined || value.tokens_per_step === undefined,
    rule(
      ["tokens_per_step"],
      [],
      "`batch_size` and `tokens_per_step` exclude each other",
      "keep one of them",
    ),
  )
  .refine(
    ({ batch_size = DEFAULT_BATCH_SIZE, tokens_per_step, micro_batch }) =>
      tokens_per_step !== undefined || micro_batch === "auto" || batch_size % micro_batch === 0,
    rule(
      ["micro_batch"],
      ["batch_size", "tokens_per_step", "micro_batch"],
      "`micro_batch` does not divide `batch_size`",
      "every micro-batch of a step has the same shape; `auto` chooses a divisor",
    ),
  )
  .refine(
    ({ steps, schedule: value }) =>
      steps === undefined || !("steps" in value.warmup) || value.warmup.steps <= steps,
    rule(["schedule"], ["steps", "schedule"], "the warm-up is longer than the run"),
  )
  .refine(
    ({ learning_rate, optimizer: { betas } }) => learning_rate / (1 - betas[0]) <= MAX_STEP_SIZE,
    rule(
      ["learning_rate"],
      ["optimizer", "learning_rate"],
      `the first step would be learning_rate / (1 − betas[0]), more than ${MAX_STEP_SIZE}`,
      "a learning rate between 1e-5 and 1e-2 is usual",
    ),
  );
