/** The files of a model directory beside its weights: config.json, generation_config.json, tokenizer, chat template. */
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { invariant } from "../schemas/diagnostic.ts";
import { type Checkpoint, TOKENIZER_FILES } from "./checkpoint.ts";
import type { FloatDType } from "./float-codec.ts";

const GENERATION_CONFIG = "generation_config.json";
export const CHAT_TEMPLATE_FILE = "chat_template.jinja";

/** What tokenizers of other libraries consist of, and the terms under which the base may be passed on. */
export const OTHER_FILES = [
  ...["tokenizer.model", "vocab.json", "merges.txt", "added_tokens.json"],
  ...["LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "USE_POLICY.md"],
];

const TORCH_NAMES: Readonly<Record<FloatDType, string>> = {
  f32: "float32",
  f16: "float16",
  bf16: "bfloat16",
};

export interface ModelFilesOptions {
  /** What `torch_dtype` becomes; null: it stays. */
  readonly dtype: FloatDType | null;
  /** Jinja source that replaces the tokenizer's own; null: that stays. */
  readonly chatTemplate: string | null;
}

/** Copies the files of `base` that a model in `directory` needs; returns their names. */
export async function writeModelFiles(
  base: Checkpoint,
  directory: string,
  { dtype, chatTemplate }: ModelFilesOptions,
): Promise<readonly string[]> {
  const config = await readFile(join(base.directory, "config.json"), "utf8");
  await writeFile(join(directory, "config.json"), dtype === null ? config : withDType(config, dtype));
  const written = ["config.json"];
  for (const name of [...TOKENIZER_FILES, ...OTHER_FILES]) {
    const copied = await copyFile(join(base.directory, name), join(directory, name)).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
        return false;
      },
    );
    if (copied) written.push(name);
  }
  if (!written.includes(GENERATION_CONFIG)) {
    await writeFile(join(directory, GENERATION_CONFIG), generationConfig(base.config));
    written.push(GENERATION_CONFIG);
  }
  if (chatTemplate !== null) {
    await writeFile(join(directory, CHAT_TEMPLATE_FILE), chatTemplate);
    if (!written.includes(CHAT_TEMPLATE_FILE)) written.push(CHAT_TEMPLATE_FILE);
  }
  return written;
}

/**
 * config.json with another dtype and every other byte as it was: Python tells `1.0` from `1`, which JSON.stringify
 * does not keep. Transformers 5 calls the field `dtype`, earlier ones `torch_dtype`.
 */
export function withDType(text: string, dtype: FloatDType): string {
  const value = `"${TORCH_NAMES[dtype]}"`;
  const config = JSON.parse(text) as Record<string, unknown>;
  const present = ["torch_dtype", "dtype"].filter((key) => Object.hasOwn(config, key));
  const changed =
    present.length === 0
      ? text.replace(/^\s*\{/, (brace) => `${brace}\n  "torch_dtype": ${value},`)
      : text.replace(/("(?:torch_)?dtype"\s*:\s*)(?:"[^"]*"|null)/g, `$1${value}`);
  const wanted = present.length === 0 ? ["torch_dtype"] : present;
  const expected = { ...config, ...Object.fromEntries(wanted.map((key) => [key, TORCH_NAMES[dtype]])) };
  const sorted = (object: object): string => JSON.stringify(Object.entries(object).sort());
  invariant(sorted(JSON.parse(changed)) === sorted(expected), "config.json changed in more than its dtype");
  return changed;
}

/** As Transformers derives it from a config that has none beside it. */
function generationConfig(config: Checkpoint["config"]): string {
  const names = ["bos_token_id", "eos_token_id", "pad_token_id"];
  const ids = names.flatMap((name) => (config[name] === undefined ? [] : [[name, config[name]]]));
  return `${JSON.stringify({ _from_model_config: true, ...Object.fromEntries(ids) }, null, 2)}\n`;
}
