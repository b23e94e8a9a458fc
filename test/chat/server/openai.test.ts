/** The server, driven by OpenAI's own client. */
import OpenAI, { APIError } from "openai";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodePrompt } from "../../../data/encode.ts";
import { MODEL, type Started, type StartOptions, start } from "./start.ts";

let server: Started;
let openai: OpenAI;

async function serve(options: StartOptions = {}): Promise<void> {
  await server?.listening.close();
  server = await start(options);
  openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
}
beforeEach(() => serve());
afterEach(() => server.listening.close());

const hello = [{ role: "user" as const, content: "hello" }];
const greedy = { model: MODEL, temperature: 0 };

/** What the client throws: status, code and the parameter that is to blame. */
async function refusal(request: Promise<unknown>): Promise<object> {
  const error = await request.then(
    () => "no error",
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(APIError);
  const { status, code, param, type, message } = error as APIError;
  return { status, code, param, type, message };
}

describe("/v1/models", () => {
  it("lists the one there is", async () => {
    const { data } = await openai.models.list();
    expect(data).toEqual([
      { id: MODEL, object: "model", created: expect.any(Number), owned_by: "lema", max_model_len: 1000 },
    ]);
    expect(await openai.models.retrieve(MODEL)).toEqual(data[0]);
    expect(await refusal(openai.models.retrieve("other"))).toMatchObject({
      status: 404,
      code: "model_not_found",
    });
  });
});

describe("/v1/chat/completions", () => {
  it("replies at once", async () => {
    const reply = await openai.chat.completions.create({ ...greedy, messages: hello });
    const prompt = encodePrompt(
      server.model.template.render(hello, "with-generation-prompt"),
      server.model.tokenizer,
    );
    expect(reply).toEqual({
      id: expect.stringMatching(/^chatcmpl-/),
      object: "chat.completion",
      created: expect.any(Number),
      model: MODEL,
      system_fingerprint: "test",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: "you said hello", refusal: null },
          logprobs: null,
          finish_reason: "stop",
        },
      ],
      usage: {
        prompt_tokens: prompt.length,
        completion_tokens: 15,
        total_tokens: prompt.length + 15,
        prompt_tokens_details: { cached_tokens: 0 },
      },
    });
    expect(server.model.source.fed[0]).toEqual(prompt);
  });

  it("streams, with the counts where they are asked for", async () => {
    const stream = await openai.chat.completions.create({
      ...greedy,
      messages: hello,
      stream: true,
      stream_options: { include_usage: true },
    });
    let [text, roles] = ["", 0];
    const finishes: (string | null)[] = [];
    let usage: unknown;
    for await (const chunk of stream) {
      expect(chunk).toMatchObject({ object: "chat.completion.chunk", model: MODEL });
      for (const { delta, finish_reason: finish } of chunk.choices) {
        text += delta.content ?? "";
        if (delta.role) roles++;
        if (finish) finishes.push(finish);
      }
      if (chunk.usage) {
        expect(chunk.choices).toEqual([]);
        usage = chunk.usage;
      }
    }
    expect({ text, roles, finishes }).toEqual({ text: "you said hello", roles: 1, finishes: ["stop"] });
    expect(usage).toMatchObject({ completion_tokens: 15 });
    // The client's own reading of a stream agrees.
    const helper = openai.chat.completions.stream({ ...greedy, messages: hello });
    expect((await helper.finalChatCompletion()).choices[0]!.message.content).toBe("you said hello");
  });

  it("goes on with a conversation as the client sends it back, and computes only what is new", async () => {
    const first = await openai.chat.completions.create({ ...greedy, messages: hello });
    const second = await openai.chat.completions.create({
      ...greedy,
      messages: [
        ...hello,
        first.choices[0]!.message,
        {
          role: "user",
          content: [
            { type: "text", text: "and " },
            { type: "text", text: "this" },
          ],
        },
      ],
    });
    expect(second.choices[0]!.message.content).toBe("you said and this");
    // The end of the first reply was chosen, and not fed.
    expect(second.usage!.prompt_tokens_details!.cached_tokens).toBe(first.usage!.total_tokens - 1);
  });

  it("reads developer as system", async () => {
    await serve({ respond: (text) => text.slice(0, text.indexOf("\n\n")) });
    const messages = [{ role: "developer" as const, content: "Be odd." }, ...hello];
    const reply = await openai.chat.completions.create({ ...greedy, messages });
    expect(reply.choices[0]!.message.content).toBe("<s><|system|>\nBe odd.");
  });

  it.each([
    [{ max_tokens: 3 }, "you", "length"],
    [{ max_completion_tokens: 3 }, "you", "length"],
    [{ stop: " said" }, "you", "stop"],
    [{ stop: ["lo", "zzz"] }, "you said hel", "stop"],
    [{ top_p: 0.1, temperature: 2 }, "you said hello", "stop"],
  ])("obeys %j", async (options, text, finish) => {
    const reply = await openai.chat.completions.create({ ...greedy, messages: hello, ...options });
    expect(reply.choices[0]).toMatchObject({ message: { content: text }, finish_reason: finish });
  });

  it("fills the context, and says so", async () => {
    await serve({ respond: () => "x".repeat(500), capacity: 120 });
    const reply = await openai.chat.completions.create({ ...greedy, messages: hello });
    expect(reply.choices[0]!.finish_reason).toBe("length");
    expect(reply.usage!.total_tokens).toBe(121);
    const long = [{ role: "user" as const, content: "x".repeat(200) }];
    const request = openai.chat.completions.create({ ...greedy, messages: long });
    expect(await refusal(request)).toMatchObject({ status: 400, code: "context_length_exceeded" });
  });

  it("draws the same with the same seed, also a negative one", async () => {
    await serve({ respond: () => "xxxxxxxxxx" });
    const reply = async (seed: number) => {
      // What was said once is as unlikely as all else, nearly.
      const drawn = { model: MODEL, temperature: 2, repetition_penalty: 10, max_tokens: 8 };
      const options = { ...drawn, seed, messages: hello };
      const { choices } = await openai.chat.completions.create(options);
      return choices[0]!.message.content;
    };
    const first = await reply(-5);
    expect(await reply(-5)).toBe(first);
    expect(await reply(5)).not.toBe(first);
  });

  it.each([
    [{ n: 2 }, "n", "unsupported_parameter"],
    [{ logprobs: true }, "logprobs", "unsupported_parameter"],
    [{ frequency_penalty: 0.5 }, "frequency_penalty", "unsupported_parameter"],
    [{ tools: [{ type: "function", function: { name: "f" } }] }, "tools", "unsupported_parameter"],
    [{ response_format: { type: "json_object" } }, "response_format", "unsupported_parameter"],
    [{ tempurature: 1 }, "tempurature", "unknown_parameter"],
    [{ temperature: 3 }, "temperature", null],
    [{ stop: [""] }, "stop.0", null],
    [{ max_tokens: 0 }, "max_tokens", null],
    [{ max_tokens: 1, max_completion_tokens: 1 }, "max_tokens", null],
    [{ messages: [] }, "messages", null],
    [{ messages: [{ role: "tool", content: "x" }] }, "messages.0.role", null],
    [{ messages: [{ role: "user", content: [{ type: "image_url" }] }] }, "messages.0.content", null],
    [{ messages: undefined }, "messages", null],
    [{ model: "other" }, "model", "model_not_found"],
  ])("refuses %j by name", async (options, param, code) => {
    const body = { ...greedy, messages: hello, ...options } as never;
    const refused = await refusal(openai.chat.completions.create(body));
    expect(refused).toMatchObject({ param, code, message: expect.stringContaining(param) });
    expect(server.model.source.fed).toEqual([]);
  });

  it("accepts what asks for nothing", async () => {
    const reply = await openai.chat.completions.create({
      ...greedy,
      messages: hello,
      n: 1,
      logprobs: false,
      frequency_penalty: 0,
      logit_bias: {},
      response_format: { type: "text" },
      user: "me",
      store: false,
      top_logprobs: null,
    });
    expect(reply.choices).toHaveLength(1);
  });

  it("refuses a conversation that the template rejects", async () => {
    const messages = [...hello, { role: "system" as const, content: "late" }];
    expect(await refusal(openai.chat.completions.create({ ...greedy, messages }))).toMatchObject({
      status: 400,
      param: "messages",
    });
  });
});

describe("/v1/completions", () => {
  const prompt = "<|user|>\nhi\n\n<|assistant|>\n";

  it("goes on with a text, behind one BOS", async () => {
    const reply = await openai.completions.create({ ...greedy, prompt });
    expect(reply).toMatchObject({
      object: "text_completion",
      choices: [{ index: 0, text: "you said hi", finish_reason: "stop", logprobs: null }],
    });
    const ids = encodePrompt(prompt, server.model.tokenizer);
    expect(server.model.source.fed[0]).toEqual(ids);
    const again = await openai.completions.create({ ...greedy, prompt: ids });
    expect(again.choices[0]!.text).toBe("you said hi");
    expect(again.usage!.prompt_tokens).toBe(ids.length);
  });

  it("streams, and stops after sixteen tokens where nothing is said", async () => {
    await serve({ respond: () => "x".repeat(100) });
    const stream = await openai.completions.create({ ...greedy, prompt: [prompt], stream: true });
    let text = "";
    for await (const { choices } of stream) text += choices[0]!.text;
    expect(text).toBe("x".repeat(16));
  });

  it.each([
    [{ prompt: ["a", "b"] }, "prompt"],
    [{ prompt: "" }, null],
    [{ prompt: [5, 300] }, "prompt"],
    [{ prompt, echo: true }, "echo"],
    [{ prompt, best_of: 2 }, "best_of"],
    [{ prompt, logprobs: 2 }, "logprobs"],
  ])("refuses %j", async (options, param) => {
    const request = openai.completions.create({ ...greedy, ...options } as never);
    // Nothing is one token: the BOS.
    if (param === null) expect((await request).usage?.prompt_tokens).toBe(1);
    else expect(await refusal(request)).toMatchObject({ status: 400, param });
  });
});

describe("one session for all", () => {
  it("answers many requests one after the other, each as if it were alone", async () => {
    await serve({ limits: { waiting: 10 } });
    const words = ["a", "bb", "ccc", "dddd", "eeeee"];
    const ask = (content: string) =>
      openai.chat.completions.create({ ...greedy, messages: [{ role: "user", content }] });
    const replies = await Promise.all(words.map(ask));
    expect(replies.map(({ choices }) => choices[0]!.message.content)).toEqual(
      words.map((word) => `you said ${word}`),
    );
  });

  it("turns away what it cannot queue", async () => {
    await serve({ limits: { waiting: 1 } });
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    server.model.source.onFeed = () => gate;
    const ask = () => openai.chat.completions.create({ ...greedy, messages: hello });
    const [first, second] = [ask(), ask()];
    await until(() => server.model.source.fed.length === 0);
    const refused = await refusal(
      Promise.any([ask(), ask()]).catch(({ errors }) => Promise.reject(errors[0])),
    );
    expect(refused).toMatchObject({ status: 503, code: "overloaded" });
    open();
    expect((await Promise.all([first, second])).map(({ choices }) => choices.length)).toEqual([1, 1]);
  });

  it.each([{ stream: false }, { stream: true }])(
    "stops when the client leaves, and serves the next: %j",
    async ({ stream }) => {
      await serve({ respond: () => "x".repeat(900), capacity: 2000 });
      const { source } = server.model;
      const leave = new AbortController();
      source.onFeed = async () => {
        if (source.fed.length === 20) leave.abort();
        await new Promise((resolve) => setTimeout(resolve, 1));
      };
      const request = { ...greedy, messages: hello, stream };
      const reading = openai.chat.completions
        .create(request, { signal: leave.signal })
        .then(async (reply) => {
          if (Symbol.asyncIterator in reply) for await (const _ of reply);
        });
      await reading.catch(() => {});
      expect(leave.signal.aborted).toBe(true);
      const next = await openai.chat.completions.create({ ...greedy, messages: hello, max_tokens: 1 });
      expect(next.choices[0]!.message.content).toBe("x");
      expect(source.fed.length).toBeLessThan(700);
      expect(server.served.map(({ completion }) => completion?.completionTokens ?? "none")).toEqual([
        "none",
        1,
      ]);
    },
  );

  it("ends a request whose time is up, streamed or not, and one that waits for it", async () => {
    await serve({ respond: () => "x".repeat(900), limits: { time: 300 } });
    server.model.source.onFeed = () => new Promise((resolve) => setTimeout(resolve, 10));
    const ask = (stream: boolean) =>
      openai.chat.completions.create({ ...greedy, messages: hello, stream }).then(async (reply) => {
        if (Symbol.asyncIterator in reply) for await (const _ of reply);
      });
    const [streamed, waiting] = await Promise.all([refusal(ask(true)), refusal(ask(false))]);
    expect(streamed).toMatchObject({ code: "timeout" });
    expect(waiting).toMatchObject({ status: 504, code: "timeout" });
  });

  it("tells of its own failures without their insides, and goes on", async () => {
    server.model.source.onFeed = () => {
      throw new Error("secret path /home/me");
    };
    const failed = await refusal(openai.chat.completions.create({ ...greedy, messages: hello }));
    expect(failed).toMatchObject({ status: 500, type: "server_error" });
    expect(JSON.stringify(failed)).not.toContain("secret");
    expect(String(server.served[0]!.error)).toContain("secret");
    server.model.source.onFeed = () => {};
    const next = await openai.chat.completions.create({ ...greedy, messages: hello });
    expect(next.choices[0]!.message.content).toBe("you said hello");
  });

  it("finishes what is under way when it closes, or ends it at once", async () => {
    server.model.source.onFeed = () => new Promise((resolve) => setTimeout(resolve, 5));
    const ask = () => openai.chat.completions.create({ ...greedy, messages: hello });
    const first = ask();
    await until(() => server.model.source.fed.length > 2);
    const closed = server.listening.close();
    expect((await first).choices[0]!.message.content).toBe("you said hello");
    await closed;
    await expect(ask()).rejects.toThrow();

    await serve({ respond: () => "x".repeat(900) });
    server.model.source.onFeed = () => new Promise((resolve) => setTimeout(resolve, 5));
    const second = refusal(ask());
    await until(() => server.model.source.fed.length > 2);
    server.shutdown.abort();
    expect(await second).toMatchObject({ status: 503 });
  });
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
}
