/**
 * A model whose reply follows from what its cache holds: the text up to the last `<|assistant|>` decides what it says
 * behind it, byte by byte. So a cache that is not what a prompt says gives another reply.
 */
import type { ChatModel } from "../../chat/complete.ts";
import type { GenerationSource } from "../../chat/generate.ts";
import { readReplyTurn } from "../../chat/reply-turn.ts";
import { TokenCache } from "../../chat/token-cache.ts";
import { findTemplate } from "../../data/find-template.ts";
import { loadTokenizer, type TextTokenizer } from "../../data/tokenizer.ts";
import { byteTokenizerDefinition, EOS, writeTokenizer } from "../data/byte-tokenizer.ts";

const REPLY_BEGINS = "<|assistant|>\n";
export const VOCABULARY = 300;

export type Respond = (conversation: string) => string;

export class ScriptedSource implements GenerationSource {
  readonly vocabulary = VOCABULARY;
  readonly capacity: number;
  /** What was fed, call by call. */
  readonly fed: number[][] = [];
  /** Called before each token. */
  onFeed: () => void | Promise<void> = () => {};
  closed = false;
  #ids: number[] = [];
  readonly #tokenizer: TextTokenizer;
  readonly #respond: Respond;

  constructor(tokenizer: TextTokenizer, respond: Respond, capacity: number) {
    this.#tokenizer = tokenizer;
    this.#respond = respond;
    this.capacity = capacity;
  }

  get length(): number {
    return this.#ids.length;
  }

  rewind(length: number): void {
    if (length > this.#ids.length) throw new Error("a rewind forwards");
    this.#ids.length = length;
  }

  async feed(tokens: readonly number[]): Promise<Float32Array> {
    await this.onFeed();
    this.fed.push([...tokens]);
    this.#ids.push(...tokens);
    if (this.#ids.length > this.capacity) throw new Error("no room");
    const text = this.#tokenizer.spell(this.#ids);
    const begins = text.lastIndexOf(REPLY_BEGINS) + REPLY_BEGINS.length;
    // Every id is a byte, but for BOS and EOS.
    const said = this.#ids.length - this.#tokenizer.encode(text.slice(0, begins)).length;
    const next = Buffer.from(this.#respond(text.slice(0, begins)))[said] ?? EOS;
    const logits = new Float32Array(VOCABULARY);
    logits[next] = 20;
    return logits;
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

/** The user's last words, as `lema-reply` writes them. */
export function lastWords(conversation: string): string {
  const from = conversation.lastIndexOf("<|user|>\n") + "<|user|>\n".length;
  return conversation.slice(from, conversation.lastIndexOf(`\n\n${REPLY_BEGINS}`));
}

/** By default it repeats what was said last. */
export async function scriptedModel(
  options: { readonly respond?: Respond; readonly capacity?: number; readonly template?: string } = {},
): Promise<ChatModel & { readonly source: ScriptedSource }> {
  const { respond = (text) => `you said ${lastWords(text)}`, capacity = 1000, template: name } = options;
  const directory = await writeTokenizer(byteTokenizerDefinition());
  const tokenizer = await loadTokenizer(directory, VOCABULARY);
  const template = await findTemplate(name ?? "lema-reply", tokenizer);
  const source = new ScriptedSource(tokenizer, respond, capacity);
  const turn = readReplyTurn(template, tokenizer, []);
  return { source, cache: new TokenCache(source), tokenizer, template, turn };
}
