/** Conversations over a model whose reply follows from what its cache holds, so that a wrong cache gives a wrong reply. */
import { describe, expect, it } from "vitest";
import {
  type ChatModel,
  type CompletionOptions,
  complete,
  encodeConversation,
  GREEDY,
  NEVER,
} from "../../chat/complete.ts";
import { Conversation } from "../../chat/conversation.ts";
import { encodePrompt, encodeSample } from "../../data/encode.ts";
import { BOS, codesOf } from "../data/byte-tokenizer.ts";
import { drain } from "./drain.ts";
import { scriptedModel } from "./scripted-model.ts";

const OPTIONS: CompletionOptions = { maxTokens: 60, sampling: GREEDY, stops: [], signal: NEVER };

async function say(conversation: Conversation, text: string, options: Partial<CompletionOptions> = {}) {
  return (await drain(conversation.say(text, { ...OPTIONS, ...options }))).result;
}

const contents = (conversation: Conversation) =>
  conversation.turns.map(({ content, inContext }) => (inContext ? content : `(${content})`));

describe("a conversation", () => {
  it("streams replies and remembers what was said", async () => {
    const model = await scriptedModel();
    const conversation = new Conversation(model, null);
    const { pieces, result } = await drain(conversation.say("hello", OPTIONS));
    expect(pieces.join("")).toBe("you said hello");
    expect(pieces.length).toBeGreaterThan(5);
    expect(result).toMatchObject({ text: "you said hello", reason: "end token", cachedTokens: 0 });
    await say(conversation, "more");
    expect(contents(conversation)).toEqual(["hello", "you said hello", "more", "you said more"]);
  });

  it("feeds what training would see of the same text: one BOS, and only what the cache does not hold", async () => {
    const model = await scriptedModel();
    const conversation = new Conversation(model, "Be brief.");
    await say(conversation, "one");
    await say(conversation, "two");
    const messages = [{ role: "system", content: "Be brief." }, ...conversation.turns.slice(0, 3)];
    const prompt = model.template.render(messages, "with-generation-prompt");
    // The end of the first reply was chosen, and not fed, until the second turn.
    const fed = model.source.fed.flat();
    const whole = encodePrompt(prompt, model.tokenizer);
    expect(fed.slice(0, whole.length)).toEqual(whole);
    expect(fed.filter((id) => id === BOS)).toHaveLength(1);
    const trained = encodeSample(
      { kind: "conversation", messages: [...messages, { role: "assistant", content: "you said two" }] },
      { ...model, trainOn: "assistant" },
    );
    expect(trained.ids.slice(0, fed.length)).toEqual(fed);
    expect(trained.labels.slice(whole.length)).toEqual(trained.ids.slice(whole.length));
  });

  it("counts the cached part of a prompt", async () => {
    const model = await scriptedModel();
    const conversation = new Conversation(model, null);
    const first = await say(conversation, "one");
    const second = await say(conversation, "two");
    expect(second.cachedTokens).toBe(first.promptTokens + first.completionTokens - 1);
  });

  it("leaves out the oldest exchanges whole when the context is full, and keeps the system prompt", async () => {
    const read: string[] = [];
    const respond = (text: string) => {
      read.push(text);
      return "ok";
    };
    const model = await scriptedModel({ respond, capacity: 200 });
    const conversation = new Conversation(model, "SYSTEM");
    for (const text of ["first", "second", "third", "fourth"]) await say(conversation, text);
    expect(contents(conversation)).toEqual([
      "(first)",
      "(ok)",
      "second",
      "ok",
      "third",
      "ok",
      "fourth",
      "ok",
    ]);
    const last = read.at(-1)!;
    expect(last).toContain("<s><|system|>\nSYSTEM\n\n<|user|>\nsecond\n\n<|assistant|>\nok</s>");
    expect(last).not.toContain("first");
    expect(model.cache.length).toBeLessThanOrEqual(200);
  });

  it("refuses what the context cannot hold by itself, and goes on without it", async () => {
    const model = await scriptedModel({ capacity: 120 });
    const conversation = new Conversation(model, "SYSTEM");
    await say(conversation, "hi");
    expect(await codesOf(() => say(conversation, "x".repeat(100)))).toEqual(["chat.too-long"]);
    expect(contents(conversation)).toEqual(["hi", "you said hi"]);
    expect((await say(conversation, "again")).text).toBe("you said again");
  });

  it("keeps a reply that was stopped as far as it came, and goes on from there", async () => {
    const model = await scriptedModel();
    const conversation = new Conversation(model, null);
    const stop = new AbortController();
    let fed = 0;
    model.source.onFeed = () => {
      if (++fed === 4) stop.abort();
    };
    const stopped = await say(conversation, "hello", { signal: stop.signal });
    expect(stopped).toMatchObject({ text: "you ", reason: "stopped", completionTokens: 4 });
    expect(contents(conversation)).toEqual(["hello", "you "]);
    expect((await say(conversation, "again")).text).toBe("you said again");
  });

  it("forgets what nothing came back to, and recovers from a source that failed", async () => {
    const model = await scriptedModel();
    const conversation = new Conversation(model, null);
    await say(conversation, "one");
    model.source.onFeed = () => {
      throw new Error("disk gone");
    };
    await expect(say(conversation, "two")).rejects.toThrow("disk gone");
    expect(contents(conversation)).toEqual(["one", "you said one"]);
    model.source.onFeed = () => {};
    const third = await say(conversation, "three");
    expect(third).toMatchObject({ text: "you said three", cachedTokens: 0 });
  });

  it("begins anew after a reset, with the system prompt that was set", async () => {
    const respond = (text: string) => text.slice(0, text.indexOf("\n\n"));
    const conversation = new Conversation(await scriptedModel({ respond }), null);
    expect((await say(conversation, "a")).text).toContain("precise assistant");
    conversation.system = "Other.";
    conversation.reset();
    expect(conversation.turns).toEqual([]);
    expect((await say(conversation, "a")).text).toBe("<s><|system|>\nOther.");
  });
});

describe("a completion", () => {
  const text = async (model: ChatModel, prompt: string, options: Partial<CompletionOptions> = {}) =>
    (await drain(complete(model, encodePrompt(prompt, model.tokenizer), { ...OPTIONS, ...options }))).result;

  it("can be stopped while a long prompt goes in", async () => {
    const model = await scriptedModel({ capacity: 5000 });
    const stop = new AbortController();
    model.source.onFeed = () => stop.abort();
    const result = await text(model, "x".repeat(1000), { signal: stop.signal });
    expect(result).toMatchObject({ text: "", reason: "stopped", completionTokens: 0 });
    expect(model.source.fed).toHaveLength(1);
    expect(model.cache.length).toBeLessThan(1000);
  });

  it("takes nothing from the cache that the prompt does not begin with", async () => {
    const model = await scriptedModel();
    const prompt = (words: string) => encodeConversation(model, [{ role: "user", content: words }]);
    const first = (await drain(complete(model, prompt("same question, one"), OPTIONS))).result;
    const second = (await drain(complete(model, prompt("same question, two"), OPTIONS))).result;
    expect(first.text).toBe("you said same question, one");
    expect(second.text).toBe("you said same question, two");
    expect(second.cachedTokens).toBeGreaterThan(40);
    // The same prompt again: all of it but the token that logits are asked behind.
    const third = (await drain(complete(model, prompt("same question, two"), OPTIONS))).result;
    expect(third).toMatchObject({ text: second.text, cachedTokens: third.promptTokens - 1 });
  });

  it("goes on until the context is full where nothing else ends it", async () => {
    const model = await scriptedModel({ respond: () => "x".repeat(500), capacity: 100 });
    const { reason, promptTokens, completionTokens } = await text(model, "go", { maxTokens: null });
    expect({ reason, total: promptTokens + completionTokens }).toEqual({
      reason: "context full",
      total: 101,
    });
    expect(await codesOf(() => text(model, "x".repeat(99)))).toEqual(["chat.too-long"]);
  });
});
