/** A model directory as one file for llama.cpp. */
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { loadTokenizer } from "../data/tokenizer.ts";
import { openCheckpoint } from "../models/checkpoint.ts";
import { ggufModel, ggufTensors } from "../models/export-gguf.ts";
import { ggufTokenizer } from "../models/gguf-tokenizer.ts";
import { type GgufType, ggufBytes, writeGguf } from "../models/gguf-writer.ts";
import { checkLlamaTensors, readLlamaConfig } from "../models/llama.ts";
import { asNoSpace, checkSpace, withOutputLock } from "../models/output-directory.ts";
import { readJsonObject } from "../models/read-json.ts";
import { refuse } from "../models/refuse.ts";
import { type Diagnostic, DiagnosticError, exitCodeOf } from "../schemas/diagnostic.ts";

export interface ExportOptions {
  /** Absolute. */
  readonly model: string;
  /** Absolute; must not exist. */
  readonly output: string;
  readonly type: GgufType;
  readonly onProgress?: (text: string) => void;
}

export interface Exported {
  readonly tensors: number;
  readonly bytes: number;
  /** Warnings. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Throws diagnostics of `export`, `model`, `output`, `tokenizer` and `weights`; then nothing has been written. */
export async function exportGguf({ model, output, type, onProgress }: ExportOptions): Promise<Exported> {
  await checkAbsent(output);
  await checkMerged(model);
  const checkpoint = await openCheckpoint(model);
  const read = readLlamaConfig(checkpoint.config, join(model, "config.json"));
  const { config } = read;
  const problems = [
    ...read.diagnostics,
    ...(config === undefined ? [] : checkLlamaTensors(checkpoint, config)),
  ];
  if (config === undefined || exitCodeOf(problems) !== 0) throw new DiagnosticError(problems);
  const tokenizer = await loadTokenizer(model, config.vocabSize);
  const file = join(model, "tokenizer.json");
  const codes = { missing: "tokenizer.unreadable", syntax: "tokenizer.unreadable" } as const;
  const definition = await readJsonObject(file, codes);
  const described = ggufTokenizer({ ...tokenizer, definition, file, vocabularyRows: config.vocabSize });
  const pairs = new Map([...ggufModel(config, basename(model), type), ...described.pairs]);

  const total = checkpoint.files.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  const onBytes = (bytes: number): void => {
    done += bytes;
    onProgress?.(`exporting ${Math.floor((100 * done) / Math.max(1, total))} %`);
  };
  const tensors = ggufTensors({ checkpoint, config, type, onBytes });
  const bytes = await withOutputLock(output, async () => {
    await checkAbsent(output);
    await checkSpace(
      dirname(output),
      tensors.reduce((sum, tensor) => sum + ggufBytes(tensor), 0),
    );
    return writeGguf(output, pairs, tensors).catch((error) => {
      throw asNoSpace(error, output);
    });
  });
  return {
    tensors: tensors.length,
    bytes,
    diagnostics: [...checkpoint.diagnostics, ...problems, ...described.diagnostics],
  };
}

/** Throws `output.exists`. */
async function checkAbsent(output: string): Promise<void> {
  if ((await stat(output).catch(() => null)) !== null)
    refuse("output.exists", output, "is there already", "choose another name, or move it away");
}

/** A run or an adapter has no model of its own. Throws `export.not-merged`. */
async function checkMerged(directory: string): Promise<void> {
  const names = await readdir(directory).catch((): string[] => []);
  if (names.includes("config.json")) return;
  const found = names.includes("run.json") ? "a run" : names.includes("adapter_config.json") && "an adapter";
  if (!found) return;
  const hint = `merge it first: \`lema merge ${directory} -o DIR\`, then export DIR`;
  refuse("export.not-merged", directory, `is ${found}, not a model`, hint);
}
