/**
 * A Hugging Face model directory: config.json, one safetensors file or shards with an index, tokenizer files.
 *
 * Only headers are read. Invariants of a Checkpoint: every file's header is valid and covers the file, and every
 * tensor stands in exactly one file.
 */
import { access, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Diagnostic, diagnostic } from "../schemas/diagnostic.ts";
import type { JsonObject } from "./field-reader.ts";
import { readJsonObject } from "./read-json.ts";
import { refuse } from "./refuse.ts";
import { readSafetensorsHeader, type SafetensorsTensor } from "./safetensors.ts";

export const SINGLE_FILE = "model.safetensors";
export const INDEX_FILE = "model.safetensors.index.json";

/** What a tokenizer and its chat template may consist of; `data/` reads them. */
export const TOKENIZER_FILES = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
  "generation_config.json",
] as const;

export interface CheckpointFile {
  /** Name relative to the model's directory. */
  readonly id: string;
  readonly path: string;
  readonly bytes: number;
}

export interface CheckpointTensor extends SafetensorsTensor {
  /** `id` of its file. */
  readonly file: string;
}

export interface Checkpoint {
  readonly directory: string;
  /** config.json as it stands. */
  readonly config: JsonObject;
  /** Sorted by id. */
  readonly files: readonly CheckpointFile[];
  /** By name; file by file, in the order of their bytes. */
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  /** Those of `tokenizer.json`, `tokenizer_config.json`, … that exist. */
  readonly tokenizerFiles: readonly string[];
  /** Warnings. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Opens a model directory. Throws `model.*` and `weights.*` diagnostics. */
export async function openCheckpoint(directory: string): Promise<Checkpoint> {
  if (!(await stat(directory).catch(() => undefined))?.isDirectory()) {
    refuse(
      "model.not-found",
      directory,
      "is not a directory",
      "give a directory with config.json and safetensors files, such as a downloaded Hugging Face model",
    );
  }
  const config = await readJsonObject(join(directory, "config.json"), {
    missing: "model.missing-file",
    syntax: "model.syntax",
  });
  const tokenizerFiles = await existing(directory, TOKENIZER_FILES);
  const weights = await openWeights(directory);
  return { directory, config, tokenizerFiles, ...weights };
}

type Weights = Pick<Checkpoint, "files" | "tensors" | "diagnostics">;

/** As Transformers does, a single file is preferred to an index. */
async function openWeights(directory: string): Promise<Weights> {
  const [present] = await existing(directory, [SINGLE_FILE, INDEX_FILE]);
  if (present === SINGLE_FILE) return { ...(await openShards(directory, [SINGLE_FILE])), diagnostics: [] };
  if (present === INDEX_FILE) return openIndexed(directory);
  return refuse(
    "weights.missing-file",
    directory,
    `holds neither ${SINGLE_FILE} nor ${INDEX_FILE}`,
    "lema reads safetensors; convert pytorch_model.bin with Transformers' save_pretrained",
  );
}

/** Tensor → shard of an index file. Throws `weights.unreadable` and `weights.bad-index`. */
export async function readIndex(path: string): Promise<Readonly<Record<string, string>>> {
  const codes = { missing: "weights.unreadable", syntax: "weights.bad-index" } as const;
  return readWeightMap(await readJsonObject(path, codes), path);
}

async function openIndexed(directory: string): Promise<Weights> {
  const path = join(directory, INDEX_FILE);
  const places = Object.entries(await readIndex(path));
  const { files, tensors } = await openShards(directory, [...new Set(places.map(([, file]) => file))].sort());
  const astray = places.filter(([name, file]) => tensors.get(name)?.file !== file);
  if (astray.length > 0) {
    refuse("weights.bad-index", path, `names tensors that are not in the shard it gives: ${list(astray)}`);
  }
  const listed = new Set(places.map(([name]) => name));
  const unlisted = [...tensors].filter(([name]) => !listed.has(name));
  if (unlisted.length === 0) return { files, tensors, diagnostics: [] };
  const warning = diagnostic("weights.bad-index", {
    severity: "warning",
    summary: `${path} does not list tensors that its shards hold: ${list(unlisted)}`,
    where: { file: path },
  });
  return { files, tensors, diagnostics: [warning] };
}

function readWeightMap(index: JsonObject, path: string): Readonly<Record<string, string>> {
  const map = index.weight_map;
  if (map === null || typeof map !== "object" || Array.isArray(map)) {
    return refuse("weights.bad-index", path, "has no object weight_map");
  }
  for (const [name, file] of Object.entries(map)) {
    // A shard's name is not a path: an index must not reach outside its directory.
    if (typeof file !== "string" || !/^[^/\\]+\.safetensors$/.test(file)) {
      refuse(
        "weights.bad-index",
        path,
        `places ${name} in ${JSON.stringify(file)}, which is no shard's name`,
      );
    }
  }
  return map as Readonly<Record<string, string>>;
}

async function openShards(directory: string, ids: readonly string[]): Promise<Omit<Weights, "diagnostics">> {
  const present = await existing(directory, ids);
  const missing = ids.filter((id) => !present.includes(id));
  if (missing.length > 0) {
    refuse(
      "weights.missing-file",
      directory,
      `lacks ${missing.join(", ")}`,
      "the download is incomplete; fetch the missing shards",
    );
  }
  const files: CheckpointFile[] = [];
  const tensors = new Map<string, CheckpointTensor>();
  for (const id of ids) {
    const path = join(directory, id);
    const header = await readSafetensorsHeader(path);
    files.push({ id, path, bytes: header.fileBytes });
    for (const [name, tensor] of header.tensors) {
      const other = tensors.get(name)?.file;
      if (other !== undefined)
        refuse("weights.duplicate-tensor", directory, `holds ${name} in ${other} and in ${id}`);
      tensors.set(name, { ...tensor, file: id });
    }
  }
  return { files, tensors };
}

async function existing<Name extends string>(directory: string, names: readonly Name[]): Promise<Name[]> {
  const found = await Promise.all(
    names.map((name) =>
      access(join(directory, name)).then(
        () => true,
        () => false,
      ),
    ),
  );
  return names.filter((_, index) => found[index]);
}

function list(entries: readonly (readonly [string, unknown])[]): string {
  const names = entries.slice(0, 5).map(([name]) => name);
  return names.join(", ") + (entries.length > 5 ? ` and ${entries.length - 5} more` : "");
}
