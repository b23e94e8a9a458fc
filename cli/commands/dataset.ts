/** `lema dataset inspect`: what a recipe's dataset looks like once it is tokenized. `build` is in dataset-build.ts. */
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { arrangeDataset, datasetAt, type PreparedDataset } from "../../data/dataset.ts";
import { type Duplicate, findDuplicates, type ShownSample, showSample } from "../../data/inspect.ts";
import { formatLengths, formatStatistics, lengthHistogram } from "../../data/statistics.ts";
import { formatProgress, type TokenizedDataset, tokenizeDataset } from "../../data/tokenize.ts";
import { loadTokenizer, type TextTokenizer } from "../../data/tokenizer.ts";
import { readLlamaConfig } from "../../models/llama.ts";
import { readJsonObject } from "../../models/read-json.ts";
import { type Diagnostic, DiagnosticError, type ExitCode, exitCodeOf } from "../../schemas/diagnostic.ts";
import type { Recipe } from "../../schemas/recipe.ts";
import { type CommandContext, collect, wholeNumber } from "../context.ts";
import { type CliIo, columnsOf, usesColor } from "../io.ts";
import { loadRecipe } from "../load-recipe.ts";
import { painter, printable } from "../render/human.ts";
import { StatusLine } from "../render/status-line.ts";
import { wrapLine } from "../render/table.ts";
import { registerBuild } from "./dataset-build.ts";

interface InspectOptions {
  readonly set?: readonly string[];
  readonly rows: number;
  readonly json?: boolean;
}

const SHOWN_DUPLICATES = 5;

export function register(program: Command, context: CommandContext): void {
  const dataset = program.command("dataset").description("work with datasets");
  dataset
    .command("inspect")
    .description("show lengths, supervised share, duplicates and the first samples of a recipe's dataset")
    .argument("<recipe>", "recipe file")
    .option("--rows <count>", "how many samples to show", wholeNumber, 3)
    .option("--json", "print everything as JSON")
    .option("--set <key=value>", "change a key of the recipe first (repeatable)", collect)
    .action(context.action((file: string, options: InspectOptions) => inspect(file, options, context)));
  registerBuild(dataset, context);
}

async function inspect(file: string, options: InspectOptions, context: CommandContext): Promise<ExitCode> {
  const { io } = context;
  const { recipe } = loadRecipe(file, options.set ?? [], io);
  const { tokenizer, tokenized } = await tokenize(recipe, io);
  const { samples } = tokenized;
  const arranged = tryArrange(recipe, tokenizer, tokenized);
  const duplicates = findDuplicates(samples);
  const first = Math.min(options.rows, samples.count);
  const shown = Array.from({ length: first }, (_, i) => showSample(samples, i, tokenizer));
  if (options.json) {
    const { statistics = null, digest = null, diagnostics } = arranged;
    const lengths = lengthHistogram(samples);
    io.stdout.write(
      `${JSON.stringify({ statistics, digest, ...lengths, duplicates, samples: shown, diagnostics }, null, 2)}\n`,
    );
  } else {
    const columns = columnsOf(io.stdout);
    const color = usesColor(io.stdout, io.env);
    const overview = arranged.statistics
      ? formatStatistics(arranged.statistics, columns)
      : formatLengths(lengthHistogram(samples).lengths, recipe.sequence.length, columns);
    const facts = [overview, formatDuplicates(duplicates)].map((text) => wrapLines(text, columns));
    io.stdout.write(`${[...facts, ...shown.map((sample) => formatSample(sample, color))].join("\n\n")}\n`);
    io.stderr.write(context.render(arranged.diagnostics, "stderr"));
  }
  return exitCodeOf(arranged.diagnostics);
}

async function tokenize(
  recipe: Recipe,
  io: CliIo,
): Promise<{ tokenizer: TextTokenizer; tokenized: TokenizedDataset }> {
  const directory = resolve(io.cwd, recipe.model);
  const configFile = join(directory, "config.json");
  const codes = { missing: "model.missing-file", syntax: "model.syntax" } as const;
  const read = readLlamaConfig(await readJsonObject(configFile, codes), configFile);
  if (read.config === undefined) throw new DiagnosticError(read.diagnostics);
  const tokenizer = await loadTokenizer(directory, read.config.vocabSize);
  const dataset = datasetAt(recipe.dataset, io.cwd);
  const progress = new StatusLine(io.stderr);
  try {
    // Looking at a dataset writes nothing, so there is no cache.
    const options = { dataset, tokenizer, cacheDirectory: null };
    const tokenized = await tokenizeDataset(options, (state) => progress.show(formatProgress(state)));
    return { tokenizer, tokenized };
  } finally {
    progress.clear();
  }
}

/** The rows with their warnings, or why there are none: a dataset that does not fit is what one wants to look at. */
function tryArrange(
  recipe: Recipe,
  tokenizer: TextTokenizer,
  tokenized: TokenizedDataset,
): Partial<PreparedDataset> & { readonly diagnostics: readonly Diagnostic[] } {
  const { dataset, sequence, training } = recipe;
  try {
    return arrangeDataset(tokenized, tokenizer.padId, { dataset, sequence, seed: training.seed });
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    return { diagnostics: [...tokenized.diagnostics, ...error.diagnostics] };
  }
}

function wrapLines(text: string, width: number): string {
  return text
    .split("\n")
    .flatMap((line) => wrapLine(line, width))
    .join("\n");
}

function formatDuplicates(duplicates: readonly Duplicate[]): string {
  if (duplicates.length === 0) return "no duplicates";
  const listed = duplicates
    .slice(0, SHOWN_DUPLICATES)
    .map(({ line, firstLine }) => `${line} (as ${firstLine})`);
  const more = duplicates.length > listed.length ? ", …" : "";
  return `duplicates  ${duplicates.length}: lines ${listed.join(", ")}${more}`;
}

/** The text as the model sees it; what is learned is green, or in ⟦brackets⟧ where there is no colour. */
function formatSample({ line, tokens, trainedTokens, runs }: ShownSample, color: boolean): string {
  const paint = painter(color);
  const text = runs.map(({ text, trained }) => {
    const clean = printable(text);
    if (!trained) return clean;
    return color ? paint.green(clean) : `⟦${clean}⟧`;
  });
  return `${paint.bold(`line ${line}`)}: ${tokens} tokens, ${trainedTokens} trained\n${text.join("")}`;
}
