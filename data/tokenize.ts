/**
 * From a dataset file to encoded samples, through the token cache.
 *
 * Invariant: the digest covers everything that decides a token: the file's bytes, the tokenizer's files, the template,
 * the format and what is trained on.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { type Diagnostic, DiagnosticError, diagnostic, type Place } from "../schemas/diagnostic.ts";
import type { DatasetRecipe } from "../schemas/recipe.ts";
import { readCache, writeCache } from "./cache.ts";
import { type Encoder, encodeSample } from "./encode.ts";
import { findTemplate } from "./find-template.ts";
import { Row } from "./formats/format.ts";
import { formats } from "./formats/index.ts";
import { asUnreadable, type JsonObject, readJsonLines } from "./jsonl.ts";
import { Problems } from "./problems.ts";
import { type Samples, SamplesBuilder } from "./samples.ts";
import { TEMPLATE_DATE } from "./template.ts";
import type { TextTokenizer } from "./tokenizer.ts";

/** Bumped when the same inputs give other tokens. */
const TOKENS_VERSION = 1;

export interface TokenizeOptions {
  readonly dataset: Pick<DatasetRecipe, "path" | "format" | "template" | "train_on">;
  readonly tokenizer: TextTokenizer;
  /** Where tokenized samples are kept; null: they are not. */
  readonly cacheDirectory: string | null;
}

export interface DatasetProgress {
  readonly phase: "reading" | "tokenizing";
  /** Bytes of the dataset file. */
  readonly done: number;
  readonly total: number;
}
export type OnProgress = (progress: DatasetProgress) => void;

/** `tokenizing the dataset 45 %`. */
export function formatProgress({ phase, done, total }: DatasetProgress): string {
  return `${phase} the dataset ${total === 0 ? 100 : Math.floor((100 * done) / total)} %`;
}

export interface TokenizedDataset {
  readonly samples: Samples;
  /** `sha256:…` over everything that decides the tokens. */
  readonly digest: string;
  /** `sha256:…` of the dataset file, the tokenizer's files and the template's text (null: the format has none). */
  readonly sources: { readonly data: string; readonly tokenizer: string; readonly template: string | null };
  /** Warnings; errors are thrown. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Tokenizes a dataset file. Throws a `DiagnosticError` with the problems of its rows, all at once. */
export async function tokenizeDataset(
  { dataset, tokenizer, cacheDirectory }: TokenizeOptions,
  onProgress: OnProgress,
): Promise<TokenizedDataset> {
  const { path: file, format, train_on: trainOn } = dataset;
  const isChat = format === "chat" || format === "sharegpt";
  const template = isChat ? await findTemplate(dataset.template, tokenizer) : undefined;
  const total = await fileSize(file);
  const sources = {
    data: await fileDigest(file, (done) => onProgress({ phase: "reading", done, total })),
    tokenizer: tokenizer.digest,
    template: template === undefined ? null : textDigest(template.source),
  };
  const { vocabularyRows } = tokenizer;
  const decides = [TOKENS_VERSION, sources, vocabularyRows, TEMPLATE_DATE.toISOString(), format, trainOn];
  const digest = textDigest(JSON.stringify(decides));

  const diagnostics: Diagnostic[] = [];
  if (cacheDirectory !== null) {
    const cached = await readCache(cacheDirectory, digest);
    if (cached.kind === "hit") {
      diagnostics.push(...boundaryWarning(cached.samples, file));
      return { samples: cached.samples, digest, sources, diagnostics };
    }
    if (cached.kind === "damaged") diagnostics.push(cacheWarning(cached.file, `ignored: ${cached.reason}`));
  }
  const encoder = { tokenizer, template, trainOn };
  let samples = await tokenizeFile(file, dataset.format, encoder, (done) =>
    onProgress({ phase: "tokenizing", done, total }),
  );
  if (cacheDirectory !== null) {
    try {
      await writeCache(cacheDirectory, digest, samples);
      const written = await readCache(cacheDirectory, digest);
      if (written.kind === "hit") samples = written.samples; // From there on, so that these can be forgotten.
    } catch (error) {
      if (!isSystemError(error)) throw error;
      diagnostics.push(
        cacheWarning(cacheDirectory, `not written, so tokens stay in memory: ${error.message}`),
      );
    }
  }
  diagnostics.push(...boundaryWarning(samples, file));
  return { samples, digest, sources, diagnostics };
}

async function tokenizeFile(
  file: string,
  format: DatasetRecipe["format"],
  encoder: Encoder,
  onBytes: (done: number) => void,
): Promise<Samples> {
  const problems = new Problems();
  const samples = new SamplesBuilder();
  for await (const { line, bytesRead, object, problem } of readJsonLines(file)) {
    if (problem === undefined) addSample(object, { file, line }, format, encoder, samples, problems);
    else problems.add(problem);
    onBytes(bytesRead);
  }
  problems.throwIfAny(file);
  return samples.build();
}

function addSample(
  object: JsonObject,
  where: Place & { line: number },
  format: DatasetRecipe["format"],
  encoder: Encoder,
  samples: SamplesBuilder,
  problems: Problems,
): void {
  const row = new Row(object, where);
  const sample = formats[format].read(row);
  for (const problem of row.problems) problems.add(problem);
  if (sample === undefined) return;
  try {
    samples.add(encodeSample(sample, encoder), where.line);
  } catch (error) {
    // What the tokenizer lacks altogether is no fault of each row.
    if (!(error instanceof DiagnosticError) || lacksEos(error)) throw error;
    for (const problem of error.diagnostics) problems.add({ ...problem, where });
  }
}

function lacksEos({ diagnostics }: DiagnosticError): boolean {
  return diagnostics.some(({ code }) => code === "tokenizer.no-eos");
}

async function fileSize(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    throw asUnreadable(error, file);
  }
}

async function fileDigest(file: string, onBytes: (done: number) => void): Promise<string> {
  const hash = createHash("sha256");
  let done = 0;
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      done += chunk.length;
      onBytes(done);
    }
  } catch (error) {
    throw asUnreadable(error, file);
  }
  return `sha256:${hash.digest("hex")}`;
}

function textDigest(text: string): string {
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

function boundaryWarning(samples: Samples, file: string): Diagnostic[] {
  if (samples.mergedBoundaries === 0) return [];
  return [
    diagnostic("data.merged-boundary", {
      severity: "warning",
      summary: `in ${samples.mergedBoundaries} of ${samples.count} samples a token spans the border between prompt and answer`,
      detail: "generation tokenizes the prompt alone, so it will see other tokens there than training did",
      where: { file },
      hint: "end prompts with a line break, or move the space that ends them to the front of the answer",
    }),
  ];
}

function cacheWarning(file: string, reason: string): Diagnostic {
  const summary = `token cache ${reason}`;
  return diagnostic("data.cache-damaged", { severity: "warning", summary, where: { file } });
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error;
}
