/** `lema dataset build`: writes the dataset that teaches the reply format, its held-out questions and a manifest. */
import { readFile } from "node:fs/promises";
import { dirname, relative, resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { buildReplyDataset, type ReplyDatasetManifest } from "../../data/reply/build.ts";
import { makeDirectory } from "../../models/make-directory.ts";
import { jsonText, replaceFile } from "../../runtime/files.ts";
import { DiagnosticError, diagnostic, type ExitCode } from "../../schemas/diagnostic.ts";
import { type CommandContext, wholeNumber } from "../context.ts";
import { columnsOf } from "../io.ts";
import { fitTable } from "../render/fit-table.ts";
import { wrapLine } from "../render/table.ts";

interface BuildOptions {
  readonly out: string;
  readonly seed: number;
  readonly examples?: number;
  readonly conversations?: number;
  readonly heldOut: number;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** The names of the other files begin as the examples' do. */
const EXTENSION = /\.jsonl$/;

export function registerBuild(dataset: Command, context: CommandContext): void {
  dataset
    .command("build")
    .description(
      "write a dataset that teaches the LEMA reply format: facts of several topics, asked in several ways; " +
        "beside it held-out questions (.held-out.jsonl) and a manifest (.manifest.json)",
    )
    .option("-o, --out <file>", "where to write the examples", jsonlFile, "lema-reply.jsonl")
    .option("--seed <number>", "decides order and choice", wholeNumber, 42)
    .option("--examples <count>", "how many examples (default: all)", wholeNumber)
    .option(
      "--conversations <count>",
      "how many rows have two examples, one after the other (default: a quarter as many as examples)",
      wholeNumber,
    )
    .option("--held-out <count>", "how many held-out questions", wholeNumber, 100)
    .option("--force", "replace files that are there with other content")
    .option("--json", "print the manifest")
    .action(context.action((options: BuildOptions) => build(options, context)));
}

async function build(options: BuildOptions, { io }: CommandContext): Promise<ExitCode> {
  const { train, heldOut, manifest } = buildReplyDataset(options);
  const out = resolve(io.cwd, options.out);
  const files = [
    { path: out, text: train },
    { path: out.replace(EXTENSION, ".held-out.jsonl"), text: heldOut },
    { path: out.replace(EXTENSION, ".manifest.json"), text: jsonText(manifest) },
  ];
  const present = await Promise.all(files.map(({ path }) => contentOf(path)));
  const changed = files.filter(({ text }, i) => present[i] !== text);
  const replaced = files.find(({ text }, i) => present[i] !== undefined && present[i] !== text);
  if (replaced !== undefined && !options.force) {
    throw new DiagnosticError(
      diagnostic("data.output-exists", {
        summary: "the file is there with other content",
        where: { file: relative(io.cwd, replaced.path) },
        hint: "name another file with `-o`, or replace it with `--force`",
      }),
    );
  }
  await makeDirectory(dirname(out));
  // The manifest is last: whoever finds it finds what it describes.
  for (const { path, text } of changed) await replaceFile(path, text);
  const paths = files.map(({ path }) => relative(io.cwd, path));
  io.stdout.write(
    options.json
      ? jsonText(manifest)
      : `${formatManifest(manifest, paths, columnsOf(io.stdout)).join("\n")}\n`,
  );
  return 0;
}

/** The text of a file, or undefined where there is none. */
async function contentOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

const HEAD = ["topic", "confidence", "facts", "examples", "held out"];
const CONFIDENCE = 1;

function formatManifest(manifest: ReplyDatasetManifest, paths: readonly string[], width: number): string[] {
  const topics = Object.entries(manifest.topics).map(([name, { confidence, facts, examples, held_out }]) => [
    name,
    confidence,
    String(facts),
    String(examples),
    String(held_out),
  ]);
  const { train, examples, conversations, held_out: heldOut } = manifest;
  const total = ["all", "", String(manifest.facts), String(examples), String(heldOut.rows)];
  const { head, rows } = fitTable(HEAD, [...topics, total], {
    alignment: "llr",
    indent: "",
    width,
    spare: [CONFIDENCE],
  });
  const facts = [
    `Rows: ${train.rows}, of which ${conversations} are conversations of two examples.`,
    `Held out: ${manifest.held_out_rule}.`,
    `Wrote ${paths.join(", ")}`,
    manifest.digest,
  ];
  return [...head, ...rows.flat(), "", ...facts.flatMap((line) => wrapLine(line, width))];
}

function jsonlFile(text: string): string {
  if (!EXTENSION.test(text)) throw new InvalidArgumentError("Its name must end in .jsonl.");
  return text;
}
