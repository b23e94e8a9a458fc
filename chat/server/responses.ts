/** Replies in the shapes of OpenAI's API: whole, or as the chunks of a stream. */
import { randomUUID } from "node:crypto";
import type { Completion } from "../complete.ts";

export type FinishReason = "stop" | "length";

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
}

/** What is the same in a whole reply and in every chunk of a stream. */
export interface ReplyHead {
  readonly id: string;
  readonly created: number;
  readonly model: string;
  readonly system_fingerprint: string;
}

/** The two kinds of completion differ in where the text stands. */
export interface ReplyShape {
  readonly idPrefix: string;
  readonly object: { readonly whole: string; readonly chunk: string };
  whole(text: string): object;
  /** Chunks that carry no text before the first piece. */
  readonly first: readonly object[];
  piece(text: string): object;
  /** The chunk that says how it ended. */
  readonly last: object;
}

export const chatShape: ReplyShape = {
  idPrefix: "chatcmpl-",
  object: { whole: "chat.completion", chunk: "chat.completion.chunk" },
  whole: (content) => ({ message: { role: "assistant", content, refusal: null } }),
  first: [{ delta: { role: "assistant", content: "" } }],
  piece: (content) => ({ delta: { content } }),
  last: { delta: {} },
};

export const textShape: ReplyShape = {
  idPrefix: "cmpl-",
  object: { whole: "text_completion", chunk: "text_completion" },
  whole: (text) => ({ text }),
  first: [],
  piece: (text) => ({ text }),
  last: { text: "" },
};

export function replyHead({ idPrefix }: ReplyShape, model: string, fingerprint: string): ReplyHead {
  const created = Math.floor(Date.now() / 1000);
  return { id: `${idPrefix}${randomUUID()}`, created, model, system_fingerprint: fingerprint };
}

export function wholeReply(shape: ReplyShape, head: ReplyHead, completion: Completion): object {
  const choice = {
    index: 0,
    ...shape.whole(completion.text),
    logprobs: null,
    finish_reason: finishReason(completion),
  };
  return { ...head, object: shape.object.whole, choices: [choice], usage: usageOf(completion) };
}

/** One chunk; `part` is the shape's. */
export function chunk(shape: ReplyShape, head: ReplyHead, part: object, finish: FinishReason | null): object {
  const choice = { index: 0, ...part, logprobs: null, finish_reason: finish };
  return { ...head, object: shape.object.chunk, choices: [choice] };
}

export function usageChunk(shape: ReplyShape, head: ReplyHead, completion: Completion): object {
  return { ...head, object: shape.object.chunk, choices: [], usage: usageOf(completion) };
}

export function finishReason({ reason }: Completion): FinishReason {
  return reason === "end token" || reason === "stop string" ? "stop" : "length";
}

export function usageOf({ promptTokens, cachedTokens, completionTokens }: Completion): Usage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}
