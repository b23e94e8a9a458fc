/**
 * One token stream for training, chat and serve: what the model is fed is what Transformers' `apply_chat_template` gives,
 * token by token, behind exactly one BOS; and training sees the same ids.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { type ChatModel, completeReply, encodeConversation, GREEDY, NEVER } from "../../chat/complete.ts";
import type { GenerationSource } from "../../chat/generate.ts";
import { readReplyTurn } from "../../chat/reply-turn.ts";
import { createApp } from "../../chat/server/app.ts";
import { TokenCache } from "../../chat/token-cache.ts";
import { encodeSample } from "../../data/encode.ts";
import { ChatTemplate, TEMPLATE_DATE } from "../../data/template.ts";
import type { TextTokenizer } from "../../data/tokenizer.ts";
import {
  type ChatCase,
  EMBEDDING_ROWS,
  golden,
  goldenTokenizer,
  templateSource,
  tokenizerNames,
} from "../data/transformers-golden.ts";
import { drain } from "./drain.ts";

/** Remembers what its cache holds. */
class Recorder implements GenerationSource {
  readonly vocabulary = EMBEDDING_ROWS;
  readonly capacity = 4000;
  ids: number[] = [];

  get length(): number {
    return this.ids.length;
  }

  rewind(length: number): void {
    this.ids.length = length;
  }

  async feed(tokens: readonly number[]): Promise<Float32Array> {
    this.ids.push(...tokens);
    return new Float32Array(EMBEDDING_ROWS);
  }

  async close(): Promise<void> {}
}

const tokenizers = new Map<string, TextTokenizer>();
beforeAll(async () => {
  for (const name of tokenizerNames) tokenizers.set(name, await goldenTokenizer(name));
});

function modelOf(expected: ChatCase): ChatModel & { readonly source: Recorder } {
  const tokenizer = tokenizers.get(expected.tokenizer)!;
  const { bosToken, eosToken } = tokenizer;
  const context = { bosToken, eosToken, date: TEMPLATE_DATE };
  const template = new ChatTemplate(expected.template, templateSource(expected, tokenizer), context);
  const source = new Recorder();
  const turn = readReplyTurn(template, tokenizer, []);
  return { source, cache: new TokenCache(source), tokenizer, template, turn };
}

/** Each reply of a conversation: what comes before it, and what Transformers makes of that. */
function turnsOf({ conversation, prompts, tokenizer }: ChatCase) {
  const messages = golden.conversations[conversation]!;
  const bos = tokenizers.get(tokenizer)!.bosId!;
  const replies = messages.flatMap(({ role }, index) => (role === "assistant" ? [index] : []));
  return replies.map((index, turn) => {
    const ids = prompts[turn]!;
    // A template without a BOS of its own gets one: the tokenizers' own setting.
    return { before: messages.slice(0, index), ids: ids[0] === bos ? ids : [bos, ...ids] };
  });
}

const one = { maxTokens: 1, sampling: GREEDY, stops: [], signal: NEVER };

describe("what the model is fed, turn after turn", () => {
  it.each(golden.chat)("$tokenizer, $template, $conversation: chat", async (expected) => {
    const model = modelOf(expected);
    for (const { before, ids } of turnsOf(expected)) {
      await drain(completeReply(model, encodeConversation(model, before), one));
      expect(model.source.ids).toEqual(ids);
    }
  });

  it.each(golden.chat)("$tokenizer, $template, $conversation: serve", async (expected) => {
    const model = modelOf(expected);
    const app = createApp({
      model,
      name: "m",
      fingerprint: "f",
      token: null,
      hosts: "any",
      limits: { time: 10_000, waiting: 1, bodyBytes: 1e6 },
      shutdown: NEVER,
      page: { html: "", policy: "" },
      onServed: () => {},
    });
    for (const { before, ids } of turnsOf(expected)) {
      const body = JSON.stringify({ model: "m", messages: before, max_tokens: 1 });
      const headers = { "content-type": "application/json" };
      const reply = await app.request("/v1/chat/completions", { method: "POST", headers, body });
      expect(await reply.json()).toMatchObject({ usage: { prompt_tokens: ids.length } });
      expect(model.source.ids).toEqual(ids);
    }
  });

  it.each(golden.chat.filter(({ template }) => template === "lema-reply" || template === "tokenizer"))(
    "$tokenizer, $template, $conversation: training begins with the same",
    (expected) => {
      const model = modelOf(expected);
      const messages = golden.conversations[expected.conversation]!;
      const { ids, labels, mergedBoundary } = encodeSample(
        { kind: "conversation", messages },
        { ...model, trainOn: "assistant" },
      );
      // Two toy vocabularies have a token that spans prompt and reply, of which `lema plan` warns.
      if (mergedBoundary) {
        expect(["sentencepiece", "metaspace"]).toContain(expected.tokenizer);
        return;
      }
      const last = turnsOf(expected).at(-1)!;
      expect(ids.slice(0, last.ids.length)).toEqual(last.ids);
      // Behind the prompt all is learned, up to the end token that ends a reply in chat.
      expect(labels.slice(last.ids.length)).toEqual(ids.slice(last.ids.length));
      expect(model.turn.endTokens.has(ids.at(-1)!)).toBe(true);
    },
  );
});

it("there is one BOS wherever the template writes one sequence", () => {
  for (const expected of golden.chat.filter(({ template }) => template !== "llama2")) {
    const bos = tokenizers.get(expected.tokenizer)!.bosId;
    for (const { ids } of turnsOf(expected)) expect(ids.filter((id) => id === bos)).toHaveLength(1);
  }
});
