/** Settles what a valid recipe document leaves open: alternatives and defaults that depend on other keys. */
import type { RecipeDocument } from "./document.ts";
import type { AdapterRecipe, DatasetRecipe, Recipe, TrainingRecipe } from "./resolved.ts";
import { DEFAULT_BATCH_SIZE } from "./training-document.ts";

const DEFAULT_RANK = 16;

export function resolveRecipe(document: RecipeDocument): Recipe {
  const { memory } = document;
  return {
    lema: document.lema,
    model: document.model,
    dataset: resolveDataset(document.dataset),
    sequence: document.sequence,
    adapter: resolveAdapter(document.adapter),
    training: resolveTraining(document.training, document.sequence.length),
    memory: {
      ram: memory.ram,
      vram: memory.vram ?? null,
      reserve: { ram: memory.reserve.ram ?? null, vram: memory.reserve.vram ?? null },
    },
    hardware: document.hardware,
    checkpoint: document.checkpoint,
    output: document.output,
  };
}

function resolveDataset({ template, train_on, ...rest }: RecipeDocument["dataset"]): DatasetRecipe {
  const hasRoles = rest.format !== "text" && rest.format !== "tokens";
  return {
    ...rest,
    template: template ?? "tokenizer",
    train_on: train_on ?? (hasRoles ? "assistant" : "all"),
  };
}

function resolveAdapter(adapter: RecipeDocument["adapter"]): AdapterRecipe {
  if (adapter.from !== undefined) return { type: adapter.type, from: adapter.from };
  const rank = adapter.rank ?? DEFAULT_RANK;
  return {
    type: adapter.type,
    from: null,
    rank,
    alpha: adapter.alpha ?? 2 * rank,
    targets: adapter.targets ?? "all-linear",
    rslora: adapter.rslora ?? false,
  };
}

function resolveTraining(training: RecipeDocument["training"], sequenceLength: number): TrainingRecipe {
  const { epochs, steps, batch_size, tokens_per_step, max_grad_norm, ...rest } = training;
  return {
    ...rest,
    duration: steps === undefined ? { epochs: epochs ?? 1 } : { steps },
    batch_size:
      tokens_per_step === undefined ? (batch_size ?? DEFAULT_BATCH_SIZE) : tokens_per_step / sequenceLength,
    max_grad_norm: max_grad_norm === "none" ? null : max_grad_norm,
  };
}
