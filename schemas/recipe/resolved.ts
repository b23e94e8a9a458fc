/**
 * A recipe after validation: every default explicit, numbers in plain units, one spelling for each choice.
 *
 * This is what every later stage reads and what plan.json records; the notations a user may write are in
 * `document.ts`. Keys keep the recipe's own words. `null` means "not asked for".
 */
import * as z from "zod";
import { bytes } from "../units.ts";

const count = z.int().positive();
const byteCount = z.int().nonnegative().transform(bytes);
/** A part of a whole, in [0, 1). */
const share = z.strictObject({ share: z.number().min(0).lt(1) });

export const DATASET_FORMATS = ["chat", "sharegpt", "alpaca", "prompt-completion", "text", "tokens"] as const;
export const PRECISIONS = ["f32", "bf16", "fp16"] as const;
export const SCHEDULES = ["constant", "linear", "cosine"] as const;

export const resolvedRecipeSchema = z.strictObject({
  lema: z.literal(1),
  /** Directory, Hub id or the name of a known shape. */
  model: z.string(),
  dataset: z.strictObject({
    path: z.string(),
    format: z.enum(DATASET_FORMATS),
    /** `tokenizer` for the tokenizer's own template, a built-in name, or a path that ends in `.jinja`. */
    template: z.string(),
    train_on: z.enum(["assistant", "all"]),
    validation: z.union([share, z.strictObject({ rows: z.int().nonnegative() })]),
    shuffle: z.boolean(),
    unsupervised_rows: z.enum(["error", "drop"]),
  }),
  sequence: z.strictObject({
    /** Tokens in one row. */
    length: count,
    packing: z.boolean(),
    truncation: z.enum(["error", "drop", "end"]),
  }),
  adapter: z.union([
    z.strictObject({
      type: z.literal("lora"),
      from: z.null(),
      rank: count,
      alpha: z.number().positive(),
      targets: z.union([z.literal("all-linear"), z.array(z.string()).min(1)]),
      rslora: z.boolean(),
    }),
    /** A PEFT adapter directory; rank, alpha, targets and rslora are read from it. */
    z.strictObject({ type: z.literal("lora"), from: z.string() }),
  ]),
  training: z.strictObject({
    duration: z.union([z.strictObject({ epochs: count }), z.strictObject({ steps: count })]),
    /** Sequences in one optimizer step. */
    batch_size: count,
    /** Sequences that move together; divides `batch_size`. */
    micro_batch: z.union([z.literal("auto"), count]),
    optimizer: z.strictObject({
      type: z.literal("adamw"),
      weight_decay: z.number().nonnegative(),
      betas: z.tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)]),
      eps: z.number().positive(),
    }),
    learning_rate: z.number().positive(),
    schedule: z.strictObject({
      type: z.enum(SCHEDULES),
      warmup: z.union([share, z.strictObject({ steps: z.int().nonnegative() })]),
    }),
    /** Global-norm clipping threshold; null: gradients are not clipped. */
    max_grad_norm: z.number().positive().nullable(),
    precision: z.enum(PRECISIONS),
    /** In [0, 2^32). */
    seed: z.int().min(0).max(0xffff_ffff),
  }),
  /** Totals in bytes: arena + reserve ≤ budget. */
  memory: z.strictObject({
    ram: byteCount,
    /** null: two tiers, disk and ram. */
    vram: byteCount.nullable(),
    /** null: the hardware profile's own reserve. */
    reserve: z.strictObject({ ram: byteCount.nullable(), vram: byteCount.nullable() }),
  }),
  /** `auto`, a profile's name, or a path to one. */
  hardware: z.string(),
  checkpoint: z.strictObject({
    /** In optimizer steps; null: only at the end. */
    every: count.nullable(),
    /** How many of the newest checkpoints stay. */
    keep: count,
  }),
  /** The run directory. */
  output: z.string(),
});

/** A fully resolved recipe; see {@link resolvedRecipeSchema} for units. */
export type Recipe = z.output<typeof resolvedRecipeSchema>;
export type AdapterRecipe = Recipe["adapter"];
export type DatasetRecipe = Recipe["dataset"];
export type TrainingRecipe = Recipe["training"];
export type Precision = Recipe["training"]["precision"];
