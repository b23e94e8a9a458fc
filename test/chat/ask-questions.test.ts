import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { evaluateModel, followUps, withoutSystem } from "../../chat/ask-questions.ts";
import { NEVER } from "../../chat/complete.ts";
import { buildReplyDataset } from "../../data/reply/build.ts";
import { heldOutQuestions, readQuestions } from "../../data/reply/questions.ts";
import { formatReply } from "../../data/reply/reply.ts";
import { codesOf, temporaryDirectory } from "../data/byte-tokenizer.ts";
import { lastWords, scriptedModel } from "./scripted-model.ts";

const questions = heldOutQuestions(42, 6);
const answers = new Map(questions.map(({ messages, expected }) => [messages.at(-1)!.content, expected]));

/** Answers each second question in the format, and the others in prose. */
function respond(conversation: string): string {
  const question = lastWords(conversation);
  const index = [...answers.keys()].indexOf(question);
  const answer = answers.get(question)!;
  if (index === 4) return "I do not know.";
  if (index % 2 === 1) return `It is ${answer}.`;
  return formatReply({ answer, explanation: "So it is.", confidence: "High" });
}

describe("asking questions", () => {
  it("scores what comes back", async () => {
    const model = await scriptedModel({ respond });
    const seen: number[] = [];
    const report = await evaluateModel(model, questions, {
      maxTokens: 200,
      signal: NEVER,
      onReply: (_, answered) => seen.push(answered),
    });
    expect(report).toMatchObject({ questions: 6, inFormat: 2, correct: 5, formatCompliance: 2 / 6 });
    expect(report.replies.map(({ question }) => question)).toEqual([...answers.keys()]);
    expect(seen).toEqual([1, 2, 3, 4, 5, 6]);
    // The system prompt and the tags before the question stay in the cache.
    expect(model.source.fed[0]!.length).toBeGreaterThan(80);
  });

  it("cuts a reply that goes on, and ends early when told to", async () => {
    const model = await scriptedModel({ respond });
    const cut = await evaluateModel(model, questions.slice(0, 1), { maxTokens: 20, signal: NEVER });
    expect(cut).toMatchObject({ questions: 1, inFormat: 0 });
    const stop = new AbortController();
    const options = { maxTokens: 200, signal: stop.signal };
    const onReply = (_: unknown, answered: number) => answered === 2 && stop.abort();
    expect(await evaluateModel(model, questions, { ...options, onReply })).toMatchObject({ questions: 2 });
  });

  it("asks a model that knows no format without its system prompt", () => {
    expect(withoutSystem(questions)[0]!.messages).toEqual([questions[0]!.messages[1]]);
    expect(questions[0]!.messages.map(({ role }) => role)).toEqual(["system", "user"]);
  });
});

it("a second turn follows the question before it and its reply, under one system prompt", async () => {
  const model = await scriptedModel({ respond });
  const report = await evaluateModel(model, questions, { maxTokens: 200, signal: NEVER });
  const second = followUps(questions, report);
  expect(second.map(({ expected }) => expected)).toEqual(questions.map(({ expected }) => expected));
  expect(second[1]!.messages).toEqual([
    ...questions[0]!.messages,
    { role: "assistant", content: report.replies[0]!.reply },
    questions[1]!.messages[1],
  ]);
  expect(second[0]!.messages[1]).toEqual(questions[5]!.messages[1]);
});

describe("a file of questions", () => {
  it("gives those of the dataset that wrote it", async () => {
    const file = join(await temporaryDirectory(), "held-out.jsonl");
    await writeFile(file, buildReplyDataset({ seed: 42, heldOut: 6 }).heldOut);
    expect(await readQuestions(file, 100)).toEqual(questions);
    expect(await readQuestions(file, 2)).toEqual(questions.slice(0, 2));
  });

  it("is refused with all its problems", async () => {
    const file = join(await temporaryDirectory(), "held-out.jsonl");
    const rows = [
      { messages: [{ role: "user", content: "a" }] },
      { messages: [{ role: "assistant", content: "a" }], answer: "a" },
      { messages: "a", answer: "a" },
    ];
    await writeFile(file, rows.map((row) => JSON.stringify(row)).join("\n"));
    expect(await codesOf(() => readQuestions(file, 100))).toEqual([
      "data.missing-field",
      "data.missing-field",
      "data.wrong-type",
    ]);
  });
});
