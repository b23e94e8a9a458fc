import { expect, it } from "vitest";
import { type EvaluateRunOptions, evaluateRun, type Speaker } from "../../chat/evaluate-run.ts";
import { validateReply } from "../../chat/reply-validator.ts";
import { renderEvaluation } from "../../cli/render/evaluation.ts";
import { heldOutQuestions } from "../../data/reply/questions.ts";
import { formatReply } from "../../data/reply/reply.ts";
import { loadTokenizer } from "../../data/tokenizer.ts";
import { BYTE_TOKENIZER_CONFIG, byteTokenizerDefinition, writeTokenizer } from "../data/byte-tokenizer.ts";
import { type Respond, type ScriptedSource, scriptedModel, VOCABULARY } from "./scripted-model.ts";

const questions = heldOutQuestions(42, 4);
const answers = questions.map(({ messages, expected }) => ({ question: messages.at(-1)!.content, expected }));
/** To the question that was asked last. */
const answerTo = (conversation: string) => {
  const place = ({ question }: { question: string }) => conversation.lastIndexOf(`${question}\n`);
  return answers.reduce((last, one) => (place(one) > place(last) ? one : last)).expected;
};

/** Knows all answers, and the format. */
const trained: Respond = (text) =>
  formatReply({ answer: answerTo(text), explanation: "So it is.", confidence: "High" });
/** Knows all answers in prose, and nothing to say where it is told how to answer. */
const untrained: Respond = (text) =>
  text.includes("precise assistant") ? "Hm." : `${answerTo(text)}, I think.`;

/** Plain prose: a question, a line break, the answer. */
const PROSE = "{{ bos_token }}{% for m in messages %}{{ m.content + '\\n<|assistant|>\\n' }}{% endfor %}";

interface Asked {
  /** Ends the questions after so many replies. */
  readonly stopAfter?: number;
  readonly base: EvaluateRunOptions["base"];
  readonly ownTemplate?: string;
  /** Default: one that knows all answers, and the format. */
  readonly model?: Respond;
  /** Positions of the context. */
  readonly capacity?: number;
}

async function opened(respond: Respond, { ownTemplate, capacity }: Asked) {
  const config = { ...BYTE_TOKENIZER_CONFIG, ...(ownTemplate && { chat_template: ownTemplate }) };
  const directory = await writeTokenizer(byteTokenizerDefinition(), config);
  const tokenizer = await loadTokenizer(directory, VOCABULARY);
  const chat = await scriptedModel({ respond, ...(capacity && { capacity }) });
  return { ...chat, tokenizer };
}

async function evaluate(asked: Asked) {
  const { base, stopAfter } = asked;
  const stop = new AbortController();
  const opens: unknown[] = [];
  const sources: ScriptedSource[] = [];
  const seen: Partial<Record<Speaker, number>> = {};
  const report = await evaluateRun(questions, {
    open: async (which, template) => {
      expect(sources.every(({ closed }) => closed)).toBe(true);
      opens.push([which, template]);
      const chat = await opened(which === "model" ? (asked.model ?? trained) : untrained, asked);
      sources.push(chat.source);
      return chat;
    },
    model: "runs/a",
    base,
    maxTokens: 200,
    signal: stop.signal,
    onReply: (speaker, answered) => {
      seen[speaker] = answered;
      if (answered === stopAfter) stop.abort();
    },
  });
  expect(sources.every(({ closed }) => closed)).toBe(true);
  return { report, opens, seen };
}

it("reports the model alone", async () => {
  const { report, opens } = await evaluate({ base: "not asked" });
  expect(report).toMatchObject({
    model: "runs/a",
    template: "lema-reply",
    inFormat: 4,
    correct: 4,
    followUp: { questions: 4, inFormat: 4, correct: 4 },
    base: null,
  });
  expect(opens).toEqual([["model", null]]);
});

it("asks the base the same questions in the same template, and then as plain prose", async () => {
  const { report, opens, seen } = await evaluate({ base: "asked", ownTemplate: PROSE });
  expect(opens).toEqual([
    ["model", null],
    ["base", "lema-reply"],
  ]);
  expect(report.base!.format).toMatchObject({ questions: 4, inFormat: 0, correct: 0 });
  expect(report.base!.prose).toMatchObject({ questions: 4, inFormat: 0, correct: 4 });
  expect(seen).toEqual({ model: 4, "model in a second turn": 4, base: 4, "base in prose": 4 });
});

it("asks nothing in prose where the tokenizer has no template", async () => {
  const { report } = await evaluate({ base: "asked" });
  expect(report.base).toMatchObject({ format: { questions: 4 }, prose: null });
});

it("does not open the base when it is stopped before", async () => {
  const { report, opens } = await evaluate({ base: "asked", stopAfter: 2 });
  expect(report).toMatchObject({ questions: 2, followUp: null, base: null });
  expect(opens).toEqual([["model", null]]);
});

it("is told as a table with samples and what failed", async () => {
  const { report } = await evaluate({ base: "asked", ownTemplate: PROSE });
  const text = renderEvaluation(report, 1).join("\n");
  expect(text).toMatch(/^runs\/a, asked in the chat template lema-reply\n/);
  expect(text).toMatch(/^all +4 +4 \(100 %\) +4 \(100 %\)$/m);
  expect(text).toMatch(/^as a second turn +4 +4 \(100 %\) +4 \(100 %\)$/m);
  expect(text).toMatch(/^base, asked the same +4 +0 \(0 %\) +0 \(0 %\)$/m);
  expect(text).toMatch(/^base, in prose +4 +– +4 \(100 %\)$/m);
  expect(text).toContain(`> ${answers[0]!.question}\n[LEMA_REPLY]\nAnswer: ${answers[0]!.expected}\n`);
  expect(text).not.toContain("✗");
});

it("shows what failed, and counts the rest", async () => {
  const { report } = await evaluate({ base: "not asked" });
  const problems = validateReply("Hm.");
  const replies = report.replies.map((reply, index) => {
    if (index === 0) return reply;
    if (index === 1) return { ...reply, correct: false, reply: "\u001b[2Jhidden" };
    return { ...reply, inFormat: false, problems: problems.valid ? [] : problems.problems };
  });
  const lines = renderEvaluation({ ...report, replies }, 2);
  expect(lines).toContain(`✗ wrong: expected ${answers[1]!.expected}`);
  expect(lines).toContain("�[2Jhidden");
  const form = "✗ not in the format: line 1: there is text before [LEMA_REPLY] (and 5 more)";
  expect(lines.filter((line) => line === form)).toHaveLength(2);
  expect(renderEvaluation({ ...report, replies }, 1)).toContain("2 more failed; --json has all replies");
  expect(renderEvaluation({ ...report, replies }, 0)).toContain("3 failed; --json has all replies");
});

it("asks again in a second turn, which a model may have forgotten the format in", async () => {
  const forgetful: Respond = (text) => (text.split("<|user|>").length > 2 ? answerTo(text) : trained(text));
  const { report } = await evaluate({ base: "not asked", model: forgetful });
  expect(report).toMatchObject({ inFormat: 4, followUp: { questions: 4, inFormat: 0, correct: 4 } });
});

it("asks no second turn that the context has no room for", async () => {
  const { report } = await evaluate({ base: "not asked", capacity: 420 });
  expect(report).toMatchObject({ questions: 4, inFormat: 4, followUp: null });
});
