/**
 * A Hugging Face tokenizer: `tokenizer.json` and `tokenizer_config.json` of a model directory.
 *
 * Invariant: `encode` gives the ids that Transformers gives for the whole text without special tokens added; BOS and EOS
 * are put in by `encode.ts`, which knows where they belong.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import type { JsonObject } from "./jsonl.ts";
import { alignTokens, type Spelling, spelledBytes, type TokenOffsets } from "./offsets.ts";

export interface TextTokenizer {
  readonly bosToken: string | undefined;
  readonly eosToken: string | undefined;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  /** What padding positions hold: the padding token, or EOS where there is none. */
  readonly padId: number;
  /** Whether a text gets a BOS in front when the tokenizer is left to itself. */
  readonly addsBos: boolean;
  /** Rows of the model's embedding: every id is below. */
  readonly vocabularyRows: number;
  readonly chatTemplate: string | undefined;
  /** `sha256:…` over the files read. */
  readonly digest: string;
  /** Ids of the whole text, no special tokens added. */
  encode(text: string): readonly number[];
  /** Where `ids` stand in the text they came from, in UTF-8 bytes; undefined when the tokenizer rewrote the text. */
  offsets(text: string, ids: readonly number[]): TokenOffsets | undefined;
  /** The text that `ids` spell, special tokens included; nothing is cleaned up or left out. */
  spell(ids: readonly number[]): string;
}

/**
 * Loads the tokenizer of a model directory.
 *
 * `vocabularyRows` is the number of rows of the embedding; a token id without a row is the error `tokenizer.vocabulary`.
 */
export async function loadTokenizer(directory: string, vocabularyRows: number): Promise<TextTokenizer> {
  const files = new TokenizerFiles(directory);
  const definition = await files.json("tokenizer.json");
  const config = await files.json("tokenizer_config.json");
  const chatTemplate = (await files.optionalText("chat_template.jinja")) ?? templateOf(config);
  const tokenizer = build(definition, config, files.path("tokenizer.json"));
  checkIds(definition, directory);
  checkVocabulary(tokenizer, vocabularyRows, directory);

  const tokenNamed = (key: string): string | undefined => contentOf(config[key]);
  const idOf = (token: string | undefined): number | undefined =>
    token === undefined ? undefined : tokenizer.token_to_id(token);
  const bosId = idOf(tokenNamed("bos_token"));
  const eosId = idOf(tokenNamed("eos_token"));
  const spelling = spellingOf(definition);
  const special = tokenizer.get_added_tokens_decoder();
  const surfaces = new Map<number, Uint8Array>();
  const surfaceOf = (id: number): Uint8Array => {
    let surface = surfaces.get(id);
    if (surface === undefined) {
      const added = special.get(id)?.content;
      surface =
        added === undefined
          ? spelledBytes(tokenizer.id_to_token(id) ?? "", spelling)
          : Buffer.from(added, "utf8");
      surfaces.set(id, surface);
    }
    return surface;
  };
  return {
    bosToken: tokenNamed("bos_token"),
    eosToken: tokenNamed("eos_token"),
    bosId,
    eosId,
    padId: idOf(tokenNamed("pad_token")) ?? eosId ?? 0,
    addsBos: bosId !== undefined && addsBos(tokenizer, config, bosId),
    vocabularyRows,
    chatTemplate,
    digest: files.digest(),
    encode: (text) => knownIds(tokenizer.encode(text, { add_special_tokens: false }).ids),
    offsets: (text, ids) => alignTokens(Buffer.from(text, "utf8"), ids.map(surfaceOf)),
    spell: (ids) => Buffer.concat(ids.map(surfaceOf)).toString("utf8"),
  };
}

/** Models as Meta and Mistral first published them have a SentencePiece file only. */
const HINT_CONVERT =
  "lema reads the files of fast tokenizers; Transformers makes them: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)";

/** Reads files and remembers their digest in the order of reading. */
class TokenizerFiles {
  readonly #directory: string;
  readonly #hash = createHash("sha256");

  constructor(directory: string) {
    this.#directory = directory;
  }

  path(name: string): string {
    return join(this.#directory, name);
  }

  async json(name: string): Promise<JsonObject> {
    const where = { file: this.path(name) };
    let text: string;
    try {
      text = await readFile(where.file, "utf8");
    } catch (error) {
      const summary = `cannot read the tokenizer: ${(error as Error).message}`;
      const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
      const hint = missing ? { hint: HINT_CONVERT } : {};
      throw new DiagnosticError(diagnostic("tokenizer.unreadable", { summary, where, ...hint }));
    }
    this.#add(name, text);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      const summary = `${name} is not JSON: ${(error as Error).message}`;
      throw new DiagnosticError(diagnostic("tokenizer.unreadable", { summary, where }));
    }
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
    const summary = `${name} does not hold an object`;
    throw new DiagnosticError(diagnostic("tokenizer.unreadable", { summary, where }));
  }

  async optionalText(name: string): Promise<string | undefined> {
    try {
      const text = await readFile(this.path(name), "utf8");
      this.#add(name, text);
      return text;
    } catch {
      return undefined;
    }
  }

  digest(): string {
    return `sha256:${this.#hash.copy().digest("hex")}`;
  }

  #add(name: string, text: string): void {
    this.#hash.update(`${name}\0${Buffer.byteLength(text)}\0`).update(text);
  }
}

function build(definition: JsonObject, config: JsonObject, file: string): Tokenizer {
  try {
    return new Tokenizer(definition, config);
  } catch (error) {
    const summary = `the tokenizer cannot be run: ${(error as Error).message}`;
    throw new DiagnosticError(diagnostic("tokenizer.unsupported", { summary, where: { file } }));
  }
}

/** The library takes any number for an id, and the engine would refuse the first batch that has it. */
function checkIds({ model }: JsonObject, directory: string): void {
  const vocabulary = (model as { vocab?: unknown }).vocab ?? {};
  if (Array.isArray(vocabulary)) return; // Unigram: an id is a place in the list.
  const stray = Object.entries(vocabulary).find(([, id]) => !(Number.isInteger(id) && id >= 0));
  if (stray === undefined) return;
  const [token, id] = stray;
  const summary = `the token ${JSON.stringify(token)} has the id ${JSON.stringify(id)}, which is no row of an embedding`;
  throw new DiagnosticError(diagnostic("tokenizer.vocabulary", { summary, where: { file: directory } }));
}

function checkVocabulary(tokenizer: Tokenizer, rows: number, directory: string): void {
  let size = 0;
  const rowless: string[] = [];
  for (const [token, id] of tokenizer.get_vocab()) {
    size = Math.max(size, id + 1);
    if (id >= rows && rowless.length < 5) rowless.push(`${JSON.stringify(token)} (${id})`);
  }
  if (size <= rows) return;
  throw new DiagnosticError(
    diagnostic("tokenizer.vocabulary", {
      summary: `the tokenizer has ${size} token ids, the model's embedding ${rows} rows`,
      detail: `without a row: ${rowless.join(", ")}${size - rows > rowless.length ? ", …" : ""}`,
      where: { file: directory },
      hint: "use the tokenizer that belongs to the model, or remove the added tokens from tokenizer.json",
    }),
  );
}

/** The library gives `undefined` for a piece that is not in a vocabulary without an unknown token. */
function knownIds(ids: readonly (number | undefined)[]): number[] {
  if (!ids.includes(undefined)) return ids as number[];
  const summary =
    "a text has a character that is not in the tokenizer's vocabulary, which has no unknown token";
  throw new DiagnosticError(diagnostic("tokenizer.unsupported", { summary }));
}

/** `"</s>"` or `{"content": "</s>"}`. */
function contentOf(token: unknown): string | undefined {
  if (typeof token === "string") return token;
  if (typeof token === "object" && token !== null && "content" in token) return contentOf(token.content);
  return undefined;
}

/** A configured template, or the one named `default` of several. */
function templateOf(config: JsonObject): string | undefined {
  const template = config.chat_template;
  if (typeof template === "string") return template;
  if (!Array.isArray(template)) return undefined;
  const named = (template as JsonObject[]).find(({ name }) => name === "default")?.template;
  return typeof named === "string" ? named : undefined;
}

/** The configuration's word where it says one, else what the post-processor does to a text. */
function addsBos(tokenizer: Tokenizer, config: JsonObject, bosId: number): boolean {
  if (typeof config.add_bos_token === "boolean") return config.add_bos_token;
  return (
    tokenizer.encode("a").ids[0] === bosId &&
    tokenizer.encode("a", { add_special_tokens: false }).ids[0] !== bosId
  );
}

function spellingOf({ decoder, pre_tokenizer }: JsonObject): Spelling {
  return JSON.stringify([decoder, pre_tokenizer]).includes('"ByteLevel"') ? "byte-level" : "sentencepiece";
}
