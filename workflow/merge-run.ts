/** A run or an adapter, and its base, as a model directory of its own that needs neither. */
import { readFile, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { builtinTemplates } from "../data/builtin-templates.ts";
import { type AdapterModules, readAdapterModules } from "../models/adapter-modules.ts";
import type { Checkpoint } from "../models/checkpoint.ts";
import type { FloatDType } from "../models/float-codec.ts";
import { checkLlamaTensors, type LlamaConfig, readLlamaConfig } from "../models/llama.ts";
import { mergedTensors } from "../models/merge.ts";
import { modelCard, type TrainingFacts } from "../models/model-card.ts";
import { writeModelFiles } from "../models/model-files.ts";
import { checkVacant, writeDirectory } from "../models/output-directory.ts";
import { readPullRecord } from "../models/pull-record.ts";
import { bytesOf, writeShards } from "../models/shards.ts";
import { type Diagnostic, DiagnosticError, diagnostic, exitCodeOf } from "../schemas/diagnostic.ts";
import { resolvedRecipeSchema } from "../schemas/recipe.ts";
import { type AdapterRun, type FoundAdapter, findAdapter, openBase } from "./find-adapter.ts";

export interface MergeRunOptions {
  /** A run, one of its checkpoints, or a PEFT adapter. */
  readonly source: string;
  readonly output: string;
  /** A directory; null: the one that run or adapter names. */
  readonly base: string | null;
  /** Null: as the base stores its weights. */
  readonly dtype: FloatDType | null;
  readonly maxShardBytes: number;
  readonly cwd: string;
  readonly cacheDirectory: string | null;
  readonly onProgress?: (text: string) => void;
}

export interface MergedRun {
  readonly output: string;
  readonly base: string;
  /** Adapted weights. */
  readonly modules: number;
  /** Weight files, in order. */
  readonly files: readonly string[];
  readonly bytes: number;
  /** Warnings. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Throws diagnostics of `output`, `adapter`, `model` and `weights`; then nothing has been written. */
export async function mergeRun(options: MergeRunOptions): Promise<MergedRun> {
  const { cwd, dtype, maxShardBytes, cacheDirectory } = options;
  const output = resolve(cwd, options.output);
  await checkVacant(output);
  const found = await findAdapter(options.source, cwd);
  const percent = (what: string, bytes: number, total: number): void =>
    options.onProgress?.(`${what} ${Math.floor((100 * bytes) / Math.max(1, total))} %`);
  const checkpoint = await openBase(found, {
    base: options.base,
    cwd,
    cacheDirectory,
    onProgress: ({ bytes, total }) => percent("digesting the base", bytes, total),
  });
  const { config, diagnostics } = readBase(checkpoint);
  const adapter = await readAdapterModules(found.directory, config);
  const chatTemplate = await trainedTemplate(found.run, cwd);

  const total = checkpoint.files.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  const onBytes = (bytes: number): void => {
    done += bytes;
    percent("merging", done, total);
  };
  const tensors = mergedTensors({ checkpoint, config, adapter }, { dtype, onBytes });
  const size = tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  const written = await writeDirectory(output, size, async (directory) => {
    const weights = await writeShards(directory, tensors, maxShardBytes);
    await writeModelFiles(checkpoint, directory, { dtype, chatTemplate });
    const card = await cardOf({ output, found, checkpoint, adapter, dtype });
    await writeFile(join(directory, "README.md"), card);
    return weights;
  });
  return {
    output,
    base: checkpoint.directory,
    modules: adapter.modules.size,
    ...written,
    diagnostics: [...checkpoint.diagnostics, ...diagnostics, ...adapter.diagnostics],
  };
}

function readBase(checkpoint: Checkpoint): { config: LlamaConfig; diagnostics: readonly Diagnostic[] } {
  const file = join(checkpoint.directory, "config.json");
  const { config, diagnostics } = readLlamaConfig(checkpoint.config, file);
  const problems = [...diagnostics, ...(config === undefined ? [] : checkLlamaTensors(checkpoint, config))];
  if (config === undefined || exitCodeOf(problems) !== 0) throw new DiagnosticError(problems);
  return { config, diagnostics: problems };
}

/** The source of the template that a run taught; null where it is the tokenizer's own, or there was none. */
async function trainedTemplate(run: AdapterRun | null, cwd: string): Promise<string | null> {
  if (run === null) return null;
  const { template } = resolvedRecipeSchema.parse(run.plan.inputs.recipe).dataset;
  if (template === "tokenizer") return null;
  const builtin = builtinTemplates.get(template);
  if (builtin !== undefined) return builtin;
  return readFile(resolve(cwd, template), "utf8").catch((error: Error) => {
    const summary = `cannot read the chat template that the run was trained with: ${error.message}`;
    throw new DiagnosticError(diagnostic("template.unreadable", { summary, where: { file: template } }));
  });
}

interface CardSource {
  readonly output: string;
  readonly found: FoundAdapter;
  readonly checkpoint: Checkpoint;
  readonly adapter: AdapterModules;
  readonly dtype: FloatDType | null;
}

async function cardOf({ output, found, checkpoint, adapter, dtype }: CardSource): Promise<string> {
  const pulled = await readPullRecord(checkpoint.directory);
  const planned = found.run?.plan.inputs.files ?? [];
  const digests = planned.flatMap(({ id, digest }) => (digest === null ? [] : [[id, digest] as const]));
  return modelCard({
    name: basename(output),
    base: {
      name: pulled?.repo ?? basename(checkpoint.directory),
      onHub: pulled !== null,
      commit: pulled?.commit ?? null,
      digests: new Map(digests),
    },
    adapter: {
      digest: adapter.digest,
      modules: adapter.modules.size,
      ranks: [...new Set([...adapter.modules.values()].map(({ rank }) => rank))].sort((a, b) => a - b),
    },
    dtype: dtype ?? "the dtype of each base weight",
    training: found.run && trainingFacts(found.run),
  });
}

function trainingFacts({ plan, record, metrics }: AdapterRun): TrainingFacts {
  const { dataset } = resolvedRecipeSchema.parse(plan.inputs.recipe);
  const evaluations = metrics.flatMap((row) => ("eval_loss" in row ? [row.eval_loss] : []));
  return {
    planId: plan.plan_id,
    lemaVersion: record?.lema_version ?? plan.lema_version,
    dataset: {
      name: basename(dataset.path),
      digest: plan.inputs.dataset?.digest ?? null,
      rows: plan.inputs.dataset?.train_rows ?? null,
    },
    recipe: plan.inputs.recipe,
    result: record && {
      steps: record.steps,
      tokens: record.tokens,
      loss: record.loss,
      evalLoss: evaluations.at(-1) ?? null,
      memory: record.memory.ram,
    },
  };
}
