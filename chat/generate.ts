/**
 * Generation token by token: from a prompt's ids to pieces of text, until an end token, a stop string, the wanted
 * number of tokens, or the end of the context.
 */
import { invariant } from "../schemas/diagnostic.ts";
import { Sampler, type Sampling } from "./sampling.ts";
import { TextStream } from "./text-stream.ts";

/** A model with its key/value cache. */
export interface LogitsSource {
  /** Positions that the cache holds. */
  readonly length: number;
  /** Positions that it has room for. */
  readonly capacity: number;
  /** Appends at least one token; logits [V] of what comes behind the last. */
  feed(tokens: readonly number[]): Promise<Float32Array>;
}

/** A source that one owner holds: its cache may be shortened, and its memory is given back at the end. */
export interface GenerationSource extends LogitsSource {
  /** Logits of one `feed`. */
  readonly vocabulary: number;
  /** Forgets all but the first `length` positions; the next tokens are fed behind them. */
  rewind(length: number): void;
  /** Also while a `feed` is under way, whose promise then rejects. */
  close(): Promise<void>;
}

export interface GenerateOptions {
  /** Ids that are not in the cache yet; one at least. */
  readonly prompt: readonly number[];
  /** Ids that the cache holds; the repetition penalty counts them. */
  readonly before: readonly number[];
  readonly maxTokens: number;
  readonly sampling: Sampling;
  readonly stops: readonly string[];
  /** Tokens that end a reply and are no part of its text. */
  readonly endTokens: ReadonlySet<number>;
  /** Text of ids, as the model's tokenizer spells them. */
  readonly spell: (ids: readonly number[]) => string;
}

export interface Generated {
  /** All tokens that were chosen, an end token included; the last is not in the cache. */
  readonly tokens: readonly number[];
  readonly text: string;
  readonly reason: "end token" | "stop string" | "max tokens" | "context full";
}

/** Yields pieces of text that are not empty, and returns what they were. Requires room for the prompt. */
export async function* generate(
  source: LogitsSource,
  options: GenerateOptions,
): AsyncGenerator<string, Generated> {
  const { prompt, before, maxTokens, endTokens } = options;
  invariant(prompt.length > 0 && maxTokens > 0, "nothing to generate from, or nothing to generate");
  const sampler = new Sampler(options.sampling);
  const stream = new TextStream(options.spell, options.stops);
  const seen = new Set([...before, ...prompt]);
  const tokens: number[] = [];
  let text = "";
  let fed = prompt;
  for (;;) {
    const token = sampler.next(await source.feed(fed), seen, tokens.length);
    tokens.push(token);
    seen.add(token);
    const piece = endTokens.has(token) ? "" : stream.push(token);
    text += piece;
    if (piece !== "") yield piece;
    const reason = reasonToStop();
    if (reason !== null) {
      const rest = stream.end();
      text += rest;
      if (rest !== "") yield rest;
      // The rest may complete a stop string that an unfinished character had kept back.
      return { tokens, text, reason: stream.stopped ? "stop string" : reason };
    }
    fed = [token];
  }

  function reasonToStop(): Generated["reason"] | null {
    if (endTokens.has(tokens.at(-1)!)) return "end token";
    if (stream.stopped) return "stop string";
    if (tokens.length === maxTokens) return "max tokens";
    return source.length === source.capacity ? "context full" : null;
  }
}
