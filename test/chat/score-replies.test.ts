import { describe, expect, it } from "vitest";
import { evaluateReplies, scoreReply } from "../../chat/score-replies.ts";
import { formatReply } from "../../data/reply/reply.ts";

const question = "What is the capital of the United States?";
const expected = "Washington, D.C.";
const replyWith = (answer: string): string =>
  formatReply({ answer, explanation: "It is Washington, D.C.", confidence: "High" });
const score = (reply: string) => scoreReply({ question, expected, reply });

describe("scoreReply", () => {
  it.each(["Washington, D.C.", "washington dc", "The Washington D.C.", " Washington,\nD.C.".trim()])(
    "takes the answer %j of a reply in the format for the expected one",
    (answer) => {
      expect(score(replyWith(answer))).toMatchObject({
        inFormat: true,
        correct: true,
        answer,
        confidence: "High",
      });
    },
  );

  it.each(["Washington", "New York", "Washington, D.C. or New York", "..."])(
    "does not take %j for it, though the explanation has it",
    (answer) => {
      expect(score(replyWith(answer))).toMatchObject({ inFormat: true, correct: false });
    },
  );

  it("looks through plain prose for whole words", () => {
    const correct = (reply: string, expected: string): boolean =>
      scoreReply({ question, expected, reply }).correct;
    expect(correct("It is Washington, D.C., of course.", "Washington, D.C.")).toBe(true);
    expect(correct("It is in Washingtonshire.", "Washington")).toBe(false);
    expect(correct("Bogotá is the capital.", "Bogota")).toBe(true);
    expect(correct("Anything.", "!")).toBe(false);
    expect(correct("", "Lima")).toBe(false);
  });

  it("names what is wrong with the format, and still looks for the answer", () => {
    const scored = score(replyWith("Washington, D.C.").replace("High", "Sure"));
    expect(scored).toMatchObject({ inFormat: false, correct: true, confidence: null });
    expect(scored.problems.map(({ code }) => code)).toEqual(["bad-confidence"]);
  });
});

describe("evaluateReplies", () => {
  it("counts, all together and by topic", () => {
    const report = evaluateReplies([
      { question, expected: "Lima", reply: replyWith("Lima"), topic: "capital" },
      { question, expected: "Lima", reply: replyWith("Quito"), topic: "capital" },
      { question, expected: "Au", reply: "Au is gold.", topic: "symbol" },
      { question, expected: "Au", reply: "Perhaps." },
    ]);
    expect(report).toMatchObject({
      questions: 4,
      inFormat: 2,
      correct: 2,
      formatCompliance: 0.5,
      accuracy: 0.5,
      topics: {
        capital: { questions: 2, inFormat: 2, correct: 1 },
        symbol: { questions: 1, inFormat: 0, correct: 1 },
      },
    });
    expect(report.replies).toHaveLength(4);
  });

  it("has no shares of nothing", () => {
    expect(evaluateReplies([])).toMatchObject({ questions: 0, formatCompliance: null, accuracy: null });
  });
});
