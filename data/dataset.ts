/**
 * From a dataset file to rows ready for training: tokenize (or cache) → fit to the sequence → split → pack.
 *
 * Invariants: the result is a function of the file's bytes, the tokenizer's files, the template and the options; no
 * sample is in both splits; every row has at least one supervised token.
 */
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { shuffle } from "../schemas/counter-rng.ts";
import { type Diagnostic, DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import type { DatasetRecipe, Recipe } from "../schemas/recipe.ts";
import { fitSamples } from "./fit.ts";
import { layOut, type PackingMethod } from "./pack.ts";
import { type RowSource, rowSource } from "./row-source.ts";
import { type Samples, sampleLength } from "./samples.ts";
import { type DatasetStatistics, lengthHistogram, tokenCounts } from "./statistics.ts";
import { type OnProgress, type TokenizedDataset, tokenizeDataset } from "./tokenize.ts";
import { loadTokenizer } from "./tokenizer.ts";

/** Bumped when the same tokens give other rows. */
const ROWS_VERSION = 1;

/** What decides the rows, once the tokens are there. */
export interface ArrangeOptions {
  readonly dataset: Pick<DatasetRecipe, "path" | "validation" | "shuffle" | "unsupervised_rows">;
  readonly sequence: Recipe["sequence"];
  /** Decides the split and the packing. */
  readonly seed: number;
}

export interface DatasetOptions extends ArrangeOptions {
  /** Paths are absolute, or start at the process's directory; see {@link datasetAt}. */
  readonly dataset: DatasetRecipe;
  /** Directory with `tokenizer.json` and `tokenizer_config.json`. */
  readonly tokenizerDirectory: string;
  /** Rows of the model's embedding: every token id is below. */
  readonly vocabularyRows: number;
  /** Where tokenized samples are kept; null: they are not. */
  readonly cacheDirectory: string | null;
}

export interface PreparedDataset {
  readonly train: RowSource;
  readonly validation: RowSource | null;
  readonly statistics: DatasetStatistics;
  /** `sha256:…` over everything that decides the rows. */
  readonly digest: string;
  /** `sha256:…` of what it was made from, so that a change can be named. */
  readonly sources: TokenizedDataset["sources"];
  /** Warnings; errors are thrown. */
  readonly diagnostics: readonly Diagnostic[];
}

/** The section with its paths resolved from `cwd`. */
export function datasetAt(dataset: DatasetRecipe, cwd: string): DatasetRecipe {
  const { path, template } = dataset;
  return {
    ...dataset,
    path: resolve(cwd, path),
    template: template.endsWith(".jinja") ? resolve(cwd, template) : template,
  };
}

/** Prepares the rows of a recipe. Throws a `DiagnosticError` with the problems of the dataset, all at once. */
export async function prepareDataset(
  options: DatasetOptions,
  onProgress: OnProgress = () => {},
): Promise<PreparedDataset> {
  const { dataset, cacheDirectory, tokenizerDirectory, vocabularyRows } = options;
  const tokenizer = await loadTokenizer(tokenizerDirectory, vocabularyRows);
  const tokenized = await tokenizeDataset({ dataset, tokenizer, cacheDirectory }, onProgress);
  return arrangeDataset(tokenized, tokenizer.padId, options);
}

/** Lays tokenized samples into rows: all of {@link prepareDataset} but the tokenizing. */
export function arrangeDataset(
  tokenized: TokenizedDataset,
  padId: number,
  options: ArrangeOptions,
): PreparedDataset {
  const { dataset, sequence, seed } = options;
  const { samples, sources } = tokenized;
  const { kept, supervised, ...left } = fitSamples(samples, dataset.path, {
    length: sequence.length,
    truncation: sequence.truncation,
    unsupervised: dataset.unsupervised_rows,
  });
  const split = splitSamples(kept, options);
  const rowsOf = (indices: Uint32Array): RowSource => {
    const order = dataset.shuffle ? pick(indices, shuffle(indices.length, seed, "data.pack")) : indices;
    const layout = layOut(samples, order, sequence.length, packingMethod(options));
    return rowSource(samples, layout, { sequenceLength: sequence.length, padId, supervised });
  };
  const train = rowsOf(split.train);
  const validation = split.validation.length === 0 ? null : rowsOf(split.validation);
  return {
    train,
    validation,
    statistics: {
      samples: samples.count,
      trainSamples: split.train.length,
      validationSamples: split.validation.length,
      ...left,
      sequenceLength: sequence.length,
      trainRows: train.rows,
      validationRows: validation?.rows ?? 0,
      ...tokenCounts(validation ? [train, validation] : [train], usedTokens(samples, kept, sequence.length)),
      ...lengthHistogram(samples),
    },
    digest: rowsDigest(tokenized.digest, options),
    sources,
    diagnostics: [...tokenized.diagnostics, ...leftOutWarnings(left, dataset.path)],
  };
}

/** Splits by sample, seeded; both parts keep the file's order. */
function splitSamples(
  kept: Uint32Array,
  { dataset, seed }: ArrangeOptions,
): { train: Uint32Array; validation: Uint32Array } {
  const where = { file: dataset.path };
  if (kept.length === 0) {
    throw new DiagnosticError(diagnostic("data.empty", { summary: "no sample is left to train on", where }));
  }
  const { validation } = dataset;
  const asked = "rows" in validation ? validation.rows : validation.share * kept.length;
  // A share that asks for any validation at all gets at least one sample.
  const size = asked > 0 ? Math.max(1, Math.round(asked)) : 0;
  if (size >= kept.length) {
    const summary = `validation takes ${size} of ${kept.length} samples and leaves none to train on`;
    throw new DiagnosticError(diagnostic("data.validation-size", { summary, where }));
  }
  const isValidation = new Uint8Array(kept.length);
  for (const chosen of shuffle(kept.length, seed, "data.validation").subarray(0, size))
    isValidation[chosen] = 1;
  return {
    train: kept.filter((_, i) => isValidation[i] === 0),
    validation: kept.filter((_, i) => isValidation[i] === 1),
  };
}

/** An unshuffled dataset keeps the file's order, so its samples can only be packed as they come. */
function packingMethod({ sequence, dataset }: ArrangeOptions): PackingMethod {
  if (!sequence.packing) return "one-per-row";
  return dataset.shuffle ? "best-fit-decreasing" : "next-fit";
}

function pick(values: Uint32Array, order: Uint32Array): Uint32Array {
  return order.map((i) => values[i]!);
}

function usedTokens(samples: Samples, kept: Uint32Array, length: number): number {
  return kept.reduce((sum, i) => sum + Math.min(sampleLength(samples, i), length), 0);
}

function rowsDigest(tokens: string, { dataset, sequence, seed }: ArrangeOptions): string {
  const { length, packing, truncation } = sequence;
  const { validation, shuffle: shuffled, unsupervised_rows } = dataset;
  // Written out key by key: the digest must not depend on the order in which the caller's objects were built.
  const decides = [
    ROWS_VERSION,
    tokens,
    length,
    packing,
    truncation,
    validation,
    shuffled,
    unsupervised_rows,
    seed,
  ];
  return `sha256:${createHash("sha256").update(JSON.stringify(decides)).digest("hex")}`;
}

function leftOutWarnings(
  left: { droppedTooLong: number; droppedUnsupervised: number; truncated: number },
  file: string,
): Diagnostic[] {
  const warnings = [
    ["data.too-long", left.droppedTooLong, "samples longer than the sequence were dropped"],
    ["data.too-long", left.truncated, "samples longer than the sequence were cut"],
    ["data.unsupervised", left.droppedUnsupervised, "samples without supervised tokens were dropped"],
  ] as const;
  return warnings
    .filter(([, count]) => count > 0)
    .map(([code, count, what]) =>
      diagnostic(code, { severity: "warning", summary: `${count} ${what}`, where: { file } }),
    );
}
