/**
 * One completion of a prompt by the model that a process holds: what chat, server and evaluation have in common.
 *
 * Invariant: what is fed is exactly the prompt's ids, and then what was chosen.
 */
import { encodePrompt } from "../data/encode.ts";
import type { Message } from "../data/formats/format.ts";
import type { ChatTemplate } from "../data/template.ts";
import type { TextTokenizer } from "../data/tokenizer.ts";
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import { type Generated, generate, type LogitsSource } from "./generate.ts";
import type { ReplyTurn } from "./reply-turn.ts";
import type { Sampling } from "./sampling.ts";
import type { TokenCache } from "./token-cache.ts";

export interface ChatModel {
  readonly cache: TokenCache;
  readonly tokenizer: TextTokenizer;
  readonly template: ChatTemplate;
  readonly turn: ReplyTurn;
}

export interface CompletionOptions {
  /** Null: until the context is full. */
  readonly maxTokens: number | null;
  readonly sampling: Sampling;
  readonly stops: readonly string[];
  /** Ends the completion early: what has been said so far is its text. */
  readonly signal: AbortSignal;
}

export interface Completion {
  readonly text: string;
  readonly promptTokens: number;
  /** How many of them the cache held already. */
  readonly cachedTokens: number;
  /** Tokens that were chosen, an end token included. */
  readonly completionTokens: number;
  readonly reason: Generated["reason"] | "stopped";
}

/** What the likeliest token is, each time. */
export const GREEDY: Sampling = {
  temperature: 0,
  topK: null,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  seed: 0,
};

/** A signal that nobody gives. */
export const NEVER: AbortSignal = new AbortController().signal;

/** Prompts go in by so many tokens, so that a long one can be stopped. */
const PROMPT_PIECE = 256;

/** Ids of a conversation up to where the reply begins, as training saw them. Throws `template.render`. */
export function encodeConversation(model: ChatModel, messages: readonly Message[]): number[] {
  return encodePrompt(model.template.render(messages, "with-generation-prompt"), model.tokenizer);
}

/** Throws `chat.too-long` where a context has no room for a prompt and a token behind it. */
export function checkFits({ length }: readonly number[], { capacity }: LogitsSource): void {
  if (length < capacity) return;
  throw new DiagnosticError(
    diagnostic("chat.too-long", {
      summary: `the prompt has ${length} tokens, and the context holds ${capacity}, the reply included`,
      hint: "say it in fewer words, or open the model with a longer context",
    }),
  );
}

/** Yields pieces of the reply to an encoded conversation. Throws `chat.too-long`. */
export async function* completeReply(
  model: ChatModel,
  prompt: readonly number[],
  options: CompletionOptions,
): AsyncGenerator<string, Completion> {
  const { opening, stops } = model.turn;
  const completion = complete(model, prompt, { ...options, stops: [...options.stops, ...stops] });
  let text = "";
  let said = 0;
  for (;;) {
    const { value, done } = await completion.next();
    if (!done) text += value;
    // Until it is longer, it may still turn out to begin as the template begins a reply.
    if (said === 0 && !done && opening.startsWith(text)) continue;
    if (said === 0 && opening !== "" && text.startsWith(opening)) said = opening.length;
    const piece = text.slice(said);
    said = text.length;
    if (piece !== "") yield piece;
    if (done) return { ...value, text: text.startsWith(opening) ? text.slice(opening.length) : text };
  }
}

/** Yields pieces of what follows `prompt`, which has one token at least. Throws `chat.too-long`. */
export async function* complete(
  { cache, tokenizer, turn }: ChatModel,
  prompt: readonly number[],
  { maxTokens, sampling, stops, signal }: CompletionOptions,
): AsyncGenerator<string, Completion> {
  checkFits(prompt, cache);
  const { before, rest } = cache.keep(prompt);
  const source = new StoppableSource(cache, signal);
  const counts = { promptTokens: prompt.length, cachedTokens: before.length };
  const generation = generate(source, {
    prompt: rest,
    before,
    maxTokens: maxTokens ?? cache.capacity,
    sampling,
    stops,
    endTokens: turn.endTokens,
    spell: (ids) => tokenizer.spell(ids),
  });
  let text = "";
  try {
    for (;;) {
      const { value, done } = await generation.next();
      if (done) {
        const { tokens, reason } = value;
        return { text: value.text, ...counts, completionTokens: tokens.length, reason };
      }
      text += value;
      yield value;
    }
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    return { text, ...counts, completionTokens: source.chosen, reason: "stopped" };
  }
}

class Stopped extends Error {}

/** Looks at a signal before every piece of work. */
class StoppableSource implements LogitsSource {
  /** Tokens that came after the prompt. */
  chosen = -1;
  readonly #cache: TokenCache;
  readonly #signal: AbortSignal;

  constructor(cache: TokenCache, signal: AbortSignal) {
    this.#cache = cache;
    this.#signal = signal;
  }

  get length(): number {
    return this.#cache.length;
  }

  get capacity(): number {
    return this.#cache.capacity;
  }

  async feed(tokens: readonly number[]): Promise<Float32Array> {
    this.chosen++;
    for (let start = 0; ; start += PROMPT_PIECE) {
      if (this.#signal.aborted) throw new Stopped();
      const logits = await this.#cache.feed(tokens.slice(start, start + PROMPT_PIECE));
      if (start + PROMPT_PIECE >= tokens.length) return logits;
    }
  }
}
