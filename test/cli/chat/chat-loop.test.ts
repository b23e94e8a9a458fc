/** The loop of `lema chat` over lines that are given, as a person types them or as a pipe brings them. */
import { describe, expect, it } from "vitest";
import { GREEDY } from "../../../chat/complete.ts";
import { Conversation } from "../../../chat/conversation.ts";
import { type ChatLoopOptions, chatLoop } from "../../../cli/chat/chat-loop.ts";
import type { LineSource } from "../../../cli/chat/line-source.ts";
import type { CommandContext } from "../../../cli/context.ts";
import { formatReply } from "../../../data/reply/reply.ts";
import { type Respond, scriptedModel } from "../../chat/scripted-model.ts";

interface Talk {
  readonly lines: readonly string[];
  readonly interactive?: boolean;
  /** Whether what is written is shown by a terminal. */
  readonly isTTY?: boolean;
  /** Of the terminal. */
  readonly columns?: number;
  readonly respond?: Respond;
  readonly capacity?: number;
  readonly options?: Partial<ChatLoopOptions>;
  readonly replying?: () => AbortSignal;
}

async function talk({
  lines,
  interactive = true,
  isTTY = false,
  columns,
  respond,
  capacity,
  options,
  replying,
}: Talk) {
  const model = await scriptedModel({ ...(respond && { respond }), ...(capacity && { capacity }) });
  const written = { stdout: "", stderr: "" };
  const sink = (name: "stdout" | "stderr") => ({
    isTTY,
    columns,
    write: (text: string) => {
      written[name] += text;
    },
  });
  const context = {
    io: { stdout: sink("stdout"), stderr: sink("stderr"), env: {} },
    render: (diagnostics: readonly { code: string }[]) =>
      diagnostics.map(({ code }) => `[${code}]\n`).join(""),
  } as unknown as CommandContext;
  const left = [...lines];
  const prompts: string[] = [];
  const source: LineSource = {
    interactive,
    next: async (prompt) => {
      prompts.push(prompt);
      return left.shift() ?? null;
    },
    replying: replying ?? (() => new AbortController().signal),
    close: () => {},
  };
  const conversation = new Conversation(model, null);
  const completion = { maxTokens: 200, sampling: GREEDY, stops: [] };
  const all = { completion, check: false, ...options };
  const exit = await chatLoop(conversation, source, all, context);
  return { exit, ...written, prompts, conversation, model };
}

describe("lema chat", () => {
  it("answers each line, on stdout alone", async () => {
    const { exit, stdout, stderr } = await talk({ lines: ["hello", "", "more"] });
    expect({ exit, stdout, stderr }).toEqual({
      exit: 0,
      stdout: "you said hello\nyou said more\n",
      stderr: "",
    });
  });

  it("lets no reply write to a terminal, and gives a pipe what was said", async () => {
    const reply = "\u001b[2Ja\rb\u0007\tc";
    const said = { lines: ["hello", "/history"], respond: () => reply };
    const shown = await talk({ ...said, isTTY: true });
    expect(shown.stdout).toBe("�[2Jab�\tc\n");
    expect(shown.stderr).toContain("model: �[2Jab�\tc\n");
    expect((await talk({ ...said, interactive: false })).stdout).toBe(`${reply}\n`);
  });

  it("takes several lines where a backslash ends them", async () => {
    const { stdout, prompts } = await talk({ lines: ["one\\", "two"] });
    expect(stdout).toBe("you said one\ntwo\n");
    expect(prompts).toEqual(["> ", "… ", "> "]);
  });

  it("forgets at /reset, and shows the history before and after", async () => {
    const { stderr, conversation } = await talk({
      lines: ["/history", "hello", "/history", "/reset", "/history"],
    });
    expect(stderr).toBe("nothing yet\nyou: hello\nmodel: you said hello\nforgotten\nnothing yet\n");
    expect(conversation.turns).toEqual([]);
  });

  it("has another system prompt at /system, and says which", async () => {
    const respond: Respond = (text) => text.slice(text.indexOf("\n") + 1, text.indexOf("\n\n"));
    const { stdout, stderr } = await talk({ lines: ["/system", "/system Be odd.", "/system", "a"], respond });
    expect(stdout).toBe("Be odd.\n");
    expect(stderr).toBe("(the chat template's own)\nset; the conversation begins anew\nBe odd.\n");
  });

  it("helps, leaves at /exit, and knows a message that begins with a slash", async () => {
    const { stdout, stderr } = await talk({ lines: ["/help", "/hepl", "//etc", "/exit", "unheard"] });
    for (const command of ["/reset", "/system TEXT", "/history", "/help", "/exit"])
      expect(stderr).toContain(`${command} `);
    expect(stderr).toContain("there is no /hepl; /help shows what there is\n");
    expect(stdout).toBe("you said /etc\n");
  });

  it("breaks what it says of itself at the terminal's width", async () => {
    const help = { lines: ["/help"], isTTY: true };
    const { stderr } = await talk({ ...help, columns: 60 });
    expect(stderr.split("\n").filter((line) => line.length > 60)).toEqual([]);
    expect(stderr).toContain("\n               conversation; without TEXT: show it\n");
    expect((await talk({ ...help, columns: 200 })).stderr).toBe((await talk({ lines: ["/help"] })).stderr);
  });

  it("goes on after a reply that was stopped, where a person is there", async () => {
    let count = 0;
    const replying = () => (++count === 1 ? AbortSignal.abort() : new AbortController().signal);
    const lines = ["one", "two"];
    const person = await talk({ lines, replying });
    expect(person).toMatchObject({ stdout: "you said two\n", stderr: "(stopped)\n" });
    count = 0;
    expect(await talk({ lines, replying, interactive: false })).toMatchObject({ stdout: "" });
  });

  it("says why a reply is not whole", async () => {
    const completion = { maxTokens: 3, sampling: GREEDY, stops: [] };
    const cut = await talk({ lines: ["hello"], options: { completion } });
    expect(cut).toMatchObject({
      stdout: "you\n",
      stderr: "(cut off after 3 tokens; --max-tokens allows more)\n",
    });
    const full = await talk({ lines: ["go"], respond: () => "x".repeat(300), capacity: 120 });
    expect(full.stderr).toBe("(cut off: the context is full)\n");
  });

  it("says when the model begins to forget, and marks it in the history", async () => {
    const { stderr } = await talk({ lines: ["first", "second", "third", "/history"], capacity: 200 });
    expect(stderr).toContain("(the context is full: the model no longer reads the oldest 2 messages)\n");
    expect(stderr).toContain("you (out of the context): first\n");
    expect(stderr).toContain("you: third\n");
  });

  it("tells a person what went wrong and goes on; from a pipe it ends there", async () => {
    const lines = ["x".repeat(300), "hello"];
    const person = await talk({ lines, capacity: 150 });
    expect(person).toMatchObject({ exit: 0, stdout: "you said hello\n", stderr: "[chat.too-long]\n" });
    await expect(talk({ lines, capacity: 150, interactive: false })).rejects.toThrow("chat.too-long");
  });

  it("checks each reply against the format; from a pipe, its exit code tells", async () => {
    const good = formatReply({ answer: "4", explanation: "2 + 2.", confidence: "High" });
    const respond: Respond = (text) => (text.includes("good") ? good : "[LEMA_REPLY]\nAnswer: 4\n");
    const options = { check: true };
    const one = await talk({ lines: ["good"], respond, options, interactive: false });
    expect(one).toMatchObject({ exit: 0, stdout: `${good}\n`, stderr: "✓ in the format\n" });
    const bad = await talk({ lines: ["bad", "good"], respond, options, interactive: false });
    expect(bad.exit).toBe(2);
    expect(bad.stderr).toContain("✗ line 3: the field Explanation is missing\n");
    expect(bad.stderr).toContain("✗ line 3: [/LEMA_REPLY] is missing\n");
    expect((await talk({ lines: ["bad"], respond, options })).exit).toBe(0);
  });

  it("draws other numbers for each reply", async () => {
    const sampling = { ...GREEDY, temperature: 2, repetitionPenalty: 10, seed: 3 };
    const options = { completion: { maxTokens: 8, sampling, stops: [] } };
    const respond: Respond = () => "xxxxxxxxxx";
    const lines = ["a", "/reset", "a"];
    const { stdout } = await talk({ lines, respond, options });
    const [first, second] = stdout.split("\n");
    expect(first).not.toBe(second);
    expect((await talk({ lines, respond, options })).stdout).toBe(stdout);
  });
});
