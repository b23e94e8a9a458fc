/**
 * Opens what a plan names: weight files, rows, the starting adapter; and refuses a plan whose inputs have changed. Here
 * the paths come in, which no digest of the plan covers.
 */
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { datasetAt, type PreparedDataset, prepareDataset } from "../data/dataset.ts";
import { formatProgress } from "../data/tokenize.ts";
import { type LlamaConfig, readLlamaConfig } from "../models/llama.ts";
import { type PeftAdapter, readPeftAdapter } from "../models/peft.ts";
import { readJsonObject } from "../models/read-json.ts";
import { type BatchSource, packedBatches } from "../runtime/batches.ts";
import { checkFresh, digestWeights } from "../runtime/freshness.ts";
import { type Diagnostic, DiagnosticError } from "../schemas/diagnostic.ts";
import type { Plan } from "../schemas/plan.ts";
import { type Recipe, resolvedRecipeSchema } from "../schemas/recipe.ts";

export interface InputOptions {
  /** Relative paths of the recipe start here. */
  readonly cwd: string;
  /** Digests and tokens are kept here; null: they are not. */
  readonly cacheDirectory: string | null;
  readonly onProgress?: (text: string) => void;
}

export interface OpenedInputs {
  /** Weight files: id → path. */
  readonly files: ReadonlyMap<string, string>;
  readonly batches: BatchSource;
  /** Values of `adapter.from` by PEFT's names. */
  readonly adapter: ReadonlyMap<string, Float32Array> | null;
  /** Warnings. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Throws `plan.stale` for every input that has changed, and the diagnostics of inputs that cannot be read. */
export async function openInputs(plan: Plan, options: InputOptions): Promise<OpenedInputs> {
  const recipe = resolvedRecipeSchema.parse(plan.inputs.recipe);
  const files = new Map(plan.inputs.files.map(({ id }) => [id, weightPath(plan, id, recipe, options.cwd)]));
  const directory = modelDirectory(files, recipe, options.cwd);
  const configFile = join(directory, "config.json");
  const codes = { missing: "model.missing-file", syntax: "model.syntax" } as const;
  const rawConfig = await readJsonObject(configFile, codes);
  const { config, diagnostics } = readLlamaConfig(rawConfig, configFile);
  if (config === undefined) throw new DiagnosticError(diagnostics);

  const digests = await digestWeights(plan, files, options.cacheDirectory);
  const adapter = await openAdapter(recipe, config, options.cwd);
  const data = await openDataset(recipe, directory, config, options);
  const problems = checkFresh(plan, {
    files: digests,
    config: rawConfig,
    tokenizer: data.sources.tokenizer,
    dataset: data.digest,
    adapter: adapter?.digest ?? null,
  });
  if (problems.length > 0) throw new DiagnosticError(problems);
  return {
    files,
    batches: packedBatches(plan, data.train, data.validation),
    adapter: adapter?.tensors ?? null,
    diagnostics: [...data.diagnostics, ...(adapter?.diagnostics ?? [])],
  };
}

/** Where planning found a file; for a plan from elsewhere, the file of that name in the recipe's model. */
function weightPath({ meta }: Plan, id: string, recipe: Recipe, cwd: string): string {
  const planned = meta.paths[id];
  return planned !== undefined && existsSync(planned) ? planned : resolve(cwd, recipe.model, id);
}

function modelDirectory(files: ReadonlyMap<string, string>, recipe: Recipe, cwd: string): string {
  const [path] = files.values();
  return path === undefined ? resolve(cwd, recipe.model) : dirname(path);
}

async function openAdapter(recipe: Recipe, config: LlamaConfig, cwd: string): Promise<PeftAdapter | null> {
  const { from } = recipe.adapter;
  return from === null ? null : readPeftAdapter(resolve(cwd, from), config);
}

function openDataset(
  recipe: Recipe,
  tokenizerDirectory: string,
  { vocabSize: vocabularyRows }: LlamaConfig,
  { cwd, cacheDirectory, onProgress }: InputOptions,
): Promise<PreparedDataset> {
  const { sequence, training } = recipe;
  const dataset = datasetAt(recipe.dataset, cwd);
  const options = {
    dataset,
    sequence,
    seed: training.seed,
    tokenizerDirectory,
    vocabularyRows,
    cacheDirectory,
  };
  return prepareDataset(options, (progress) => onProgress?.(formatProgress(progress)));
}
