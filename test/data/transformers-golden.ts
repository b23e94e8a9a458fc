/** What `test/parity/chat_tokens.py` recorded of Transformers' tokenizers and chat templates. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Message } from "../../data/formats/format.ts";
import { loadTokenizer, type TextTokenizer } from "../../data/tokenizer.ts";

export interface ChatCase {
  readonly tokenizer: string;
  /** A name of `templates`, or `tokenizer` for its own. */
  readonly template: string;
  readonly conversation: string;
  readonly text: string;
  readonly ids: readonly number[];
  /** For each reply: the messages before it, with the generation prompt. */
  readonly prompts: readonly (readonly number[])[];
  readonly assistant_mask?: readonly number[];
}

interface Golden {
  readonly templates: Readonly<Record<string, string>>;
  readonly conversations: Readonly<Record<string, readonly Message[]>>;
  readonly chat: readonly ChatCase[];
  readonly text: readonly {
    readonly tokenizer: string;
    readonly text: string;
    readonly ids: readonly number[];
  }[];
}

const FILE = new URL("../golden/data/transformers.json", import.meta.url);

export const golden = JSON.parse(readFileSync(FILE, "utf8")) as Golden;
export const tokenizerNames = [...new Set(golden.chat.map(({ tokenizer }) => tokenizer))];

/** All have fewer tokens. */
export const EMBEDDING_ROWS = 1280;

export function goldenTokenizer(name: string): Promise<TextTokenizer> {
  const directory = new URL(name === "lema-mini" ? "../../assets/" : "../golden/data/", import.meta.url);
  return loadTokenizer(fileURLToPath(new URL(name, directory)), EMBEDDING_ROWS);
}

export function templateSource({ template }: ChatCase, tokenizer: TextTokenizer): string {
  return golden.templates[template] ?? tokenizer.chatTemplate!;
}
