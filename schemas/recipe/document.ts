/**
 * The recipe as a user writes it: strict, every key described, every default stated here.
 *
 * The input side of this schema is published as `schemas/generated/recipe.schema.json` and `docs/recipe.md`; its
 * output still has the recipe's alternatives (`epochs` or `steps`), which `resolve.ts` settles. Rules that span keys
 * are refinements that run whenever the keys they read are valid, so that one mistake never hides another.
 */
import { z } from "zod";
import { DATASET_FORMATS, PRECISIONS, SCHEDULES } from "./resolved.ts";
import { everySteps, shareOrRows, shareOrSteps, size, sizeOrNone, text } from "./values.ts";

export const DEFAULT_BATCH_SIZE = 8;

const positiveCount = z.int().positive();

/** Options of a rule: it speaks about `path`, and runs when all of `keys` are themselves valid. */
function rule(path: readonly string[], keys: readonly string[], message: string, hint?: string) {
  return {
    path: [...path],
    error: message,
    params: { code: "recipe.conflict", hint },
    when: ({
      issues,
    }: {
      issues: readonly { code?: string | undefined; path?: PropertyKey[] | undefined }[];
    }) =>
      issues.every(({ code, path: at }) =>
        at === undefined || at.length === 0
          ? code === "unrecognized_keys" || code === "custom"
          : code === "custom" || !keys.includes(String(at[0])),
      ),
  };
}

const dataset = z
  .strictObject({
    path: text("a path to a JSONL file").describe(
      "The dataset: a JSONL file, relative to the working directory.",
    ),
    format: z
      .enum(DATASET_FORMATS)
      .describe(
        "`chat`: `messages` with role and content. `sharegpt`: `conversations` with from and value. `alpaca`: instruction, input, output. `prompt-completion`: prompt, completion. `text`: text. `tokens`: `input_ids` and `labels` (−100 is not supervised).",
      ),
    template: text("`tokenizer`, a built-in template's name or a path to a .jinja file")
      .optional()
      .describe(
        "Chat template, for `chat` and `sharegpt`: `tokenizer` (the tokenizer's own, the default), a built-in name, or a path ending in `.jinja`.",
      ),
    train_on: z
      .enum(["assistant", "all"])
      .optional()
      .describe(
        "Which tokens are supervised: the assistant's (or completion's, or output's) only, or all. Default `assistant`; `text` and `tokens` have no roles and use `all` (in `tokens` the labels decide).",
      ),
    validation: shareOrRows
      .prefault(0)
      .describe("Rows held out for validation loss: a share (`2%`) or a count (`200 rows`)."),
    shuffle: z
      .boolean()
      .prefault(true)
      .describe("Seeded shuffle of the training rows in every epoch; false keeps the file's order."),
    unsupervised_rows: z
      .enum(["error", "drop"])
      .prefault("error")
      .describe("What happens to a row without a supervised token: an error, or dropped and counted."),
  })
  .refine(
    ({ format, template }) => template === undefined || format === "chat" || format === "sharegpt",
    rule(
      ["template"],
      ["format", "template"],
      "a template applies to the formats `chat` and `sharegpt` only",
    ),
  )
  .refine(
    ({ format, train_on }) => train_on !== "assistant" || (format !== "text" && format !== "tokens"),
    rule(
      ["train_on"],
      ["format", "train_on"],
      "the formats `text` and `tokens` have no assistant",
      "write `train_on: all`",
    ),
  );

const sequence = z.strictObject({
  length: positiveCount.prefault(512).describe("Tokens in one row."),
  packing: z
    .boolean()
    .prefault(true)
    .describe("Several samples share a row; attention and positions stay inside each sample. false pads."),
  truncation: z
    .enum(["error", "drop", "end"])
    .prefault("error")
    .describe("A sample longer than `length`: an error, dropped and counted, or cut at its end."),
});

const ADAPTER_SHAPE_KEYS = ["rank", "alpha", "targets", "rslora"] as const;

const adapter = z
  .strictObject({
    type: z.literal("lora").prefault("lora").describe("The adapter's kind."),
    from: text("a PEFT adapter directory")
      .optional()
      .describe("Continue this PEFT adapter directory; rank, alpha, targets and rslora then come from it."),
    rank: positiveCount.optional().describe("LoRA rank. Default 16."),
    alpha: z.number().positive().optional().describe("LoRA alpha. Default twice the rank."),
    targets: z
      .union(
        [
          z.literal("all-linear"),
          z
            .array(text("a module name such as `q_proj`"))
            .min(1, { error: "expected at least one module name" }),
        ],
        {
          error: "expected `all-linear` or a list of module names such as `[q_proj, v_proj]`",
        },
      )
      .optional()
      .describe(
        "Which linear modules get an adapter. Default `all-linear`: all of each block, not the LM head.",
      ),
    rslora: z
      .boolean()
      .optional()
      .describe("Rank-stabilised scaling, alpha/√rank instead of alpha/rank. Default false."),
    dropout: z
      .literal(0, { error: "expected 0: lema has no LoRA dropout" })
      .prefault(0)
      .describe("LoRA dropout; only 0, so that a recomputed block equals its first forward."),
  })
  .refine(
    (value) => value.from === undefined || ADAPTER_SHAPE_KEYS.every((key) => value[key] === undefined),
    rule(
      ["from"],
      ["from"],
      "rank, alpha, targets and rslora come from the adapter named by `from`",
      "remove them, or remove `from`",
    ),
  )
  .refine(
    ({ targets }) => !Array.isArray(targets) || new Set(targets).size === targets.length,
    rule(["targets"], ["targets"], "a module is listed twice"),
  );

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

const training = z
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
  );

const memory = z
  .strictObject({
    ram: size.describe("Total ram of the run (Node and libraries included): arena + reserve stay within it."),
    vram: size
      .optional()
      .describe(
        "Total vram. Without it there are two tiers, disk and ram. On a cpu profile the tier is emulated.",
      ),
    reserve: z
      .strictObject({
        ram: sizeOrNone.optional().describe("Ram kept for the process itself. Default: the profile's."),
        vram: sizeOrNone
          .optional()
          .describe("Vram kept for the driver and libraries. Default: the profile's."),
      })
      .prefault({})
      .describe("The part of each budget that the arena may not use."),
  })
  .refine(
    ({ ram, reserve }) => reserve.ram === undefined || reserve.ram < ram,
    rule(["reserve", "ram"], ["ram", "reserve"], "the reserve leaves nothing of the ram budget"),
  )
  .refine(
    ({ vram, reserve }) => reserve.vram === undefined || (vram !== undefined && reserve.vram < vram),
    rule(["reserve", "vram"], ["vram", "reserve"], "the reserve leaves nothing of the vram budget"),
  );

const checkpoint = z.strictObject({
  every: everySteps
    .prefault("500 steps")
    .describe("Optimizer steps between checkpoints (`500 steps`), or `never`: only at the end."),
  keep: positiveCount.prefault(2).describe("How many of the newest checkpoints stay on disk."),
});

export const recipeSchema = z
  .strictObject({
    lema: z
      .literal(1, { error: "expected 1, the version of the recipe format" })
      .describe("Version of the recipe format."),
    model: text("a directory, a Hub id or a known shape").describe(
      "The base model: a directory in Hugging Face format, a Hub id, or a known shape for `plan --dry-run`.",
    ),
    dataset: dataset.describe("What is learned."),
    sequence: sequence.prefault({}).describe("The shape of a training row."),
    adapter: adapter.prefault({}).describe("What is trained: a LoRA adapter."),
    training: training.prefault({}).describe("How it is trained."),
    memory: memory.describe("The hard budgets, as totals."),
    hardware: text("`auto`, a profile's name or a path")
      .prefault("auto")
      .describe(
        "The machine to plan for: `auto` (the profile that `lema probe` wrote), a name, or a path to a profile.",
      ),
    checkpoint: checkpoint.prefault({}).describe("When the state is saved."),
    output: text("a directory").describe("The run directory."),
  })
  .refine(
    ({ sequence: { length }, training: { tokens_per_step: tokens } }) =>
      tokens === undefined || tokens % length === 0,
    rule(
      ["training", "tokens_per_step"],
      ["sequence", "training"],
      "`tokens_per_step` is not a multiple of `sequence.length`",
    ),
  )
  .refine(
    ({ sequence: { length }, training: { tokens_per_step: tokens, micro_batch } }) =>
      tokens === undefined ||
      tokens % length !== 0 ||
      micro_batch === "auto" ||
      (tokens / length) % micro_batch === 0,
    rule(
      ["training", "micro_batch"],
      ["sequence", "training"],
      "`micro_batch` does not divide the sequences of a step (`tokens_per_step` / `sequence.length`)",
    ),
  )
  .meta({ title: "lema recipe" });

/** A valid recipe document after zod's own defaults; see `resolve.ts` for what is still open. */
export type RecipeDocument = z.output<typeof recipeSchema>;
