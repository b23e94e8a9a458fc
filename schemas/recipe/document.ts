/**
 * The recipe as a user writes it: strict, every key described, every default stated here.
 *
 * The input side of this schema is published as `schemas/generated/recipe.schema.json` and `docs/recipe.md`; its
 * output still has the recipe's alternatives (`epochs` or `steps`), which `resolve.ts` settles. Rules that span keys
 * are refinements that run whenever the keys they read are valid, so that one mistake never hides another.
 */
import * as z from "zod";
import { DATASET_FORMATS } from "./resolved.ts";
import { rule } from "./rule.ts";
import { DEFAULT_BATCH_SIZE, MOST_MICRO_BATCHES, training } from "./training-document.ts";
import { everySteps, shareOrRows, size, sizeOrNone, text } from "./values.ts";

const positiveCount = z.int().positive();

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
        "The machine to plan for: `auto` (the profile that `lema probe` wrote, with a vram budget that of the device if it was measured), a name, or a path to a profile.",
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
  .refine(
    ({
      sequence: { length },
      training: { batch_size = DEFAULT_BATCH_SIZE, tokens_per_step, micro_batch },
    }) => {
      const sequences = tokens_per_step === undefined ? batch_size : tokens_per_step / length;
      return micro_batch === "auto" || sequences / micro_batch <= MOST_MICRO_BATCHES;
    },
    rule(
      ["training", "micro_batch"],
      ["sequence", "training"],
      `a step has more than ${MOST_MICRO_BATCHES} micro-batches, each an instruction of every unit in the plan`,
      "raise `micro_batch`, or lower the sequences of a step",
    ),
  )
  .meta({ title: "lema recipe" });

/** A valid recipe document after zod's own defaults; see `resolve.ts` for what is still open. */
export type RecipeDocument = z.output<typeof recipeSchema>;
