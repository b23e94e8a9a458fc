/**
 * Gathers what the planner needs: reads a recipe's model, dataset and adapter, and turns them into `Inputs`.
 *
 * A dry run opens no weights, dataset or tokenizer: a known shape stands in for the model, or a directory of which
 * only config.json and the headers are read; its inputs carry no digests and are marked not executable.
 */
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { PreparedDataset } from "../data/dataset.ts";
import { openCheckpoint } from "../models/checkpoint.ts";
import { type DescribeOptions, describeLlama } from "../models/describe-llama.ts";
import { digestCheckpoint } from "../models/digest.ts";
import type { JsonObject } from "../models/field-reader.ts";
import { knownShape, onlyShape, unknownShape } from "../models/known-shapes.ts";
import {
  checkLlamaTensors,
  checkSequenceLength,
  type LlamaConfig,
  readLlamaConfig,
} from "../models/llama.ts";
import { type LayerLora, type LoraConfig, resolveTargets, uniformLora } from "../models/lora.ts";
import { type PeftAdapter, readPeftAdapter } from "../models/peft.ts";
import { type Diagnostic, DiagnosticError, exitCodeOf, invariant } from "../schemas/diagnostic.ts";
import type { HardwareProfile } from "../schemas/hardware.ts";
import { type InputFile, type Inputs, numericsFor } from "../schemas/inputs.ts";
import { opTableHash } from "../schemas/op-table.ts";
import type { Recipe } from "../schemas/recipe.ts";

export interface ReadOptions {
  readonly recipe: Recipe;
  readonly hardware: HardwareProfile;
  readonly lemaVersion: string;
  /** Relative paths of the recipe start here. */
  readonly cwd: string;
  /** Where digests and tokens are kept; null: nowhere. */
  readonly cacheDirectory: string | null;
  readonly dryRun: boolean;
  readonly onProgress?: (text: string) => void;
}

export interface GatheredInputs {
  readonly inputs: Inputs;
  /** Null in a dry run. */
  readonly dataset: PreparedDataset | null;
  /** The adapter that training starts from. */
  readonly adapter: PeftAdapter | null;
  /** Warnings; errors are thrown. */
  readonly diagnostics: readonly Diagnostic[];
}

type Model = Pick<DescribeOptions, "rawConfig" | "files" | "tensors" | "digests"> & {
  readonly name: string;
  readonly directory: string | null;
  readonly diagnostics: readonly Diagnostic[];
};

/** Throws a `DiagnosticError` with what is wrong with the recipe's files. */
export async function readInputs(options: ReadOptions): Promise<GatheredInputs> {
  const { recipe, hardware, cwd, dryRun, cacheDirectory } = options;
  const model = await readModel(options);
  const read = readLlamaConfig(
    model.rawConfig,
    model.directory ? `${model.directory}/config.json` : model.name,
  );
  const { config } = read;
  if (!config) throw new DiagnosticError(read.diagnostics);
  const tensorProblems = checkLlamaTensors({ tensors: model.tensors }, config);
  const problems = [
    ...read.diagnostics,
    ...checkSequenceLength(config, recipe.sequence.length),
    ...tensorProblems,
  ];
  if (exitCodeOf(problems) !== 0) throw new DiagnosticError(problems);
  const { adapter, lora, diagnostics: adapterProblems } = await readAdapter(recipe, config, cwd);
  const numerics = numericsFor(recipe.training.precision, recipe.sequence.length, config.vocabSize);
  const dataset = dryRun ? null : await readDataset(options, model, config, cacheDirectory);
  const description = describeLlama({
    ...model,
    config,
    sequenceLength: recipe.sequence.length,
    numerics,
    lora: lora.layers,
  });
  return {
    inputs: {
      recipe,
      hardware,
      model: description,
      numerics,
      adapter: { ...lora.config, base_model: recipe.model, from: adapter?.digest ?? null },
      dataset: dataset && describeDataset(dataset),
      tokenizer: dataset?.sources.tokenizer ?? null,
      lema_version: options.lemaVersion,
      op_table: opTableHash(),
      executable: !dryRun,
    },
    dataset,
    adapter,
    diagnostics: [...model.diagnostics, ...problems, ...adapterProblems, ...(dataset?.diagnostics ?? [])],
  };
}

async function readModel({ recipe, cwd, dryRun, cacheDirectory, onProgress }: ReadOptions): Promise<Model> {
  const directory = resolve(cwd, recipe.model);
  const isDirectory = (await stat(directory).catch(() => null))?.isDirectory() ?? false;
  if (!isDirectory) {
    const shape = knownShape(recipe.model);
    if (!dryRun && shape) throw new DiagnosticError(onlyShape(recipe.model));
    if (!dryRun) await openCheckpoint(directory);
    if (!shape) throw new DiagnosticError(unknownShape(recipe.model));
    const files: InputFile[] = [{ ...shape.file, path: shape.file.id, digest: null }];
    return {
      name: shape.id,
      directory: null,
      rawConfig: shape.config,
      files,
      tensors: shape.tensors,
      digests: null,
      diagnostics: [],
    };
  }
  const checkpoint = await openCheckpoint(directory);
  const digests = dryRun
    ? null
    : await digestCheckpoint(checkpoint, {
        cacheDir: cacheDirectory,
        onProgress: ({ bytes, total }) =>
          onProgress?.(`digesting weights ${Math.floor((100 * bytes) / Math.max(1, total))} %`),
      });
  return {
    name: recipe.model,
    directory,
    rawConfig: checkpoint.config as JsonObject,
    files: checkpoint.files.map((file) => ({ ...file, digest: digests?.files.get(file.id) ?? null })),
    tensors: checkpoint.tensors,
    digests: digests?.tensors ?? null,
    diagnostics: [...checkpoint.diagnostics, ...(digests?.diagnostics ?? [])],
  };
}

async function readAdapter(
  recipe: Recipe,
  config: LlamaConfig,
  cwd: string,
): Promise<{
  adapter: PeftAdapter | null;
  lora: { config: LoraConfig; layers: readonly LayerLora[] };
  diagnostics: readonly Diagnostic[];
}> {
  const { adapter: wanted } = recipe;
  if (wanted.from !== null) {
    const adapter = await readPeftAdapter(resolve(cwd, wanted.from), config);
    return { adapter, lora: adapter, diagnostics: adapter.diagnostics };
  }
  const { rank, alpha, rslora } = wanted;
  const { targets, diagnostics } = resolveTargets(wanted.targets);
  if (exitCodeOf(diagnostics) !== 0) throw new DiagnosticError(diagnostics);
  return { adapter: null, lora: uniformLora(config.layers, { rank, alpha, rslora, targets }), diagnostics };
}

async function readDataset(
  { recipe, cwd, onProgress }: ReadOptions,
  model: Model,
  config: LlamaConfig,
  cacheDirectory: string | null,
): Promise<PreparedDataset> {
  invariant(model.directory, "only a model directory has a tokenizer");
  // Templates and tokenizers are much to load for a dry run, which needs none.
  const { datasetAt, prepareDataset } = await import("../data/dataset.ts");
  const { formatProgress } = await import("../data/tokenize.ts");
  return prepareDataset(
    {
      dataset: datasetAt(recipe.dataset, cwd),
      sequence: recipe.sequence,
      seed: recipe.training.seed,
      tokenizerDirectory: model.directory,
      vocabularyRows: config.vocabSize,
      cacheDirectory,
    },
    (progress) => onProgress?.(formatProgress(progress)),
  );
}

function describeDataset({ digest, train, validation }: PreparedDataset): Inputs["dataset"] {
  const supervised = train.supervised.reduce((sum, count) => sum + count, 0);
  return {
    digest,
    train_rows: train.rows,
    validation_rows: validation?.rows ?? 0,
    supervised_tokens: supervised,
    attended_pairs: train.attendedPairs,
  };
}
