import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { alpacaPrompt } from "../../data/formats/alpaca.ts";
import { type RawSample, Row } from "../../data/formats/format.ts";
import { type FormatName, formats } from "../../data/formats/index.ts";
import { type JsonLine, type JsonObject, readJsonLines } from "../../data/jsonl.ts";
import { codesOf, temporaryDirectory } from "./byte-tokenizer.ts";

function read(format: FormatName, object: JsonObject): { sample: RawSample | undefined; problems: string[] } {
  const row = new Row(object, { file: "data.jsonl", line: 3 });
  const sample = formats[format].read(row);
  return { sample, problems: row.problems.map(({ code, where }) => `${code} ${where?.line} ${where?.path}`) };
}

describe("formats", () => {
  it("carry the name that a recipe gives them", () => {
    for (const [name, format] of Object.entries(formats)) expect(format.name).toBe(name);
  });

  it("text", () => {
    expect(read("text", { text: "t" }).sample).toEqual({
      kind: "segments",
      segments: [{ text: "t", trained: true }],
    });
  });

  it("prompt-completion", () => {
    expect(read("prompt-completion", { prompt: "p", completion: "c" }).sample).toEqual({
      kind: "segments",
      segments: [
        { text: "p", trained: false },
        { text: "c", trained: true },
      ],
    });
  });

  it("alpaca, with and without an input", () => {
    const prompt = (object: JsonObject): string => {
      const { sample } = read("alpaca", object);
      return sample?.kind === "segments" ? sample.segments[0]!.text : "";
    };
    expect(prompt({ instruction: "Add.", input: "2 2", output: "4" })).toBe(
      "Below is an instruction that describes a task, paired with an input that provides further context. " +
        "Write a response that appropriately completes the request.\n\n" +
        "### Instruction:\nAdd.\n\n### Input:\n2 2\n\n### Response:\n",
    );
    for (const input of ["", null, undefined]) {
      expect(prompt({ instruction: "Hi.", input, output: "4" })).toBe(alpacaPrompt("Hi.", ""));
    }
    expect(alpacaPrompt("Hi.", "")).not.toContain("Input");
  });

  it("chat keeps what else a message says, for the template", () => {
    const messages = [{ role: "user", content: "Q", name: "Ann" }];
    expect(read("chat", { messages }).sample).toEqual({ kind: "conversation", messages });
  });

  it("sharegpt", () => {
    const conversations = [
      { from: "system", value: "S" },
      { from: "human", value: "Q" },
      { from: "gpt", value: "A" },
    ];
    expect(read("sharegpt", { conversations }).sample).toEqual({
      kind: "conversation",
      messages: [
        { role: "system", content: "S" },
        { role: "user", content: "Q" },
        { role: "assistant", content: "A" },
      ],
    });
  });

  it("tokens", () => {
    expect(read("tokens", { input_ids: [1, 2], labels: [-100, 2] }).sample).toEqual({
      kind: "tokens",
      ids: [1, 2],
      labels: [-100, 2],
    });
  });

  const bad: [FormatName, JsonObject, string[]][] = [
    ["text", {}, ["data.missing-field 3 text"]],
    ["text", { text: 5 }, ["data.wrong-type 3 text"]],
    ["prompt-completion", { prompt: null }, ["data.wrong-type 3 prompt", "data.missing-field 3 completion"]],
    ["alpaca", { instruction: "i", input: [], output: "o" }, ["data.wrong-type 3 input"]],
    ["chat", { messages: [] }, ["data.wrong-type 3 messages"]],
    ["chat", { messages: ["hi"] }, ["data.wrong-type 3 messages"]],
    ["chat", { messages: [{ role: "user" }] }, ["data.missing-field 3 messages[0].content"]],
    ["chat", { messages: [{ role: "user", content: [{}] }] }, ["data.wrong-type 3 messages[0].content"]],
    ["chat", { messages: [{ role: "user", content: "" }], tools: [{}] }, ["data.unsupported-field 3 tools"]],
    [
      "chat",
      { messages: [{ role: "assistant", content: "", tool_calls: [{}] }] },
      ["data.unsupported-field 3 messages[0].tool_calls"],
    ],
    [
      "sharegpt",
      { conversations: [{ from: "bot", value: "" }] },
      ["data.wrong-type 3 conversations[0].from"],
    ],
    ["tokens", { input_ids: [1] }, ["data.missing-field 3 labels"]],
    ["tokens", { input_ids: [1, 2], labels: [1] }, ["data.wrong-type 3 labels"]],
    ["tokens", { input_ids: [1], labels: [-5] }, ["data.wrong-type 3 labels"]],
    ["tokens", { input_ids: [-1], labels: [1] }, ["data.wrong-type 3 input_ids"]],
    ["tokens", { input_ids: [1.5], labels: [1] }, ["data.wrong-type 3 input_ids"]],
    ["tokens", { input_ids: "1 2", labels: [1] }, ["data.wrong-type 3 input_ids"]],
    ["text", { text: "half of \ud83d" }, ["data.wrong-type 3 text"]],
    ["chat", { messages: [{ role: "user", content: "\udfff" }] }, ["data.wrong-type 3 messages[0].content"]],
  ];
  it.each(bad)("%s refuses %j", (format, object, problems) => {
    expect(read(format, object)).toEqual({ sample: undefined, problems });
  });

  it("tokens names the entry that is no token id", () => {
    const row = new Row({ input_ids: [1, 1e10], labels: [1, 1] }, { file: "d.jsonl", line: 3 });
    formats.tokens.read(row);
    expect(row.problems.map(({ summary }) => summary)).toEqual([
      "`input_ids[1]` is 10000000000, expected an integer from 0 to 2^31 − 1",
    ]);
  });
});

async function collect(lines: AsyncIterable<JsonLine>): Promise<JsonLine[]> {
  const collected: JsonLine[] = [];
  for await (const line of lines) collected.push(line);
  return collected;
}

describe("readJsonLines", () => {
  const linesOf = async (content: string | Buffer): Promise<JsonLine[]> => {
    const file = join(await temporaryDirectory(), "data.jsonl");
    await writeFile(file, content);
    return collect(readJsonLines(file));
  };

  it("numbers lines as an editor does, over CRLF, blank lines, a BOM and a missing last newline", async () => {
    const lines = await linesOf('\uFEFF{"a":1}\r\n\n  \n{"é":2}\n{"a":3}');
    expect(lines.map(({ line, object }) => [line, object])).toEqual([
      [1, { a: 1 }],
      [4, { é: 2 }],
      [5, { a: 3 }],
    ]);
    expect(lines.at(-1)!.bytesRead).toBe(Buffer.byteLength('\uFEFF{"a":1}\r\n\n  \n{"é":2}\n{"a":3}'));
  });

  it("joins lines that are longer than a read", async () => {
    const long = "é".repeat(1_500_000);
    expect((await linesOf(`{"a":"${long}"}\n{"b":1}\n`)).map(({ object }) => object)).toEqual([
      { a: long },
      { b: 1 },
    ]);
  });

  it("goes on after a bad line and says where it is", async () => {
    const latin1 = Buffer.from('{"a":"\xe9"}\n', "latin1");
    const lines = await linesOf(
      Buffer.concat([Buffer.from('{"a":1,}\n[1]\nnull\n'), latin1, Buffer.from("{}")]),
    );
    expect(lines.map(({ line, problem }) => [line, problem?.code, problem?.where?.line])).toEqual([
      [1, "data.bad-line", 1],
      [2, "data.bad-line", 2],
      [3, "data.bad-line", 3],
      [4, "data.bad-line", 4],
      [5, undefined, undefined],
    ]);
    expect(lines[0]!.problem!.where!.column).toBe(8);
    expect(lines[1]!.problem!.summary).toContain("an array");
  });

  it("says that a file cannot be read", async () => {
    expect(await codesOf(() => collect(readJsonLines("/nonexistent.jsonl")))).toEqual(["data.unreadable"]);
    const directory = await temporaryDirectory();
    expect(await codesOf(() => collect(readJsonLines(directory)))).toEqual(["data.unreadable"]);
  });
});
