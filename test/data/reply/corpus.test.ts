import { describe, expect, it } from "vitest";
import { allFacts } from "../../../data/reply/corpus.ts";
import { parseTable } from "../../../data/reply/facts/table.ts";
import { formatReply, isFieldValue } from "../../../data/reply/reply.ts";
import { PHRASINGS, topics } from "../../../data/reply/topics.ts";
import { containsWords, sameWords, wordsOf } from "../../../data/reply/words.ts";

const facts = allFacts();

describe("the corpus", () => {
  it("asks every fact in as many ways, each question once", () => {
    const questions = facts.flatMap(({ questions, heldOutQuestion }) => [...questions, heldOutQuestion]);
    expect(questions).toHaveLength(facts.length * PHRASINGS);
    expect(new Set(questions).size).toBe(questions.length);
    expect(new Set(facts.map(({ id }) => id)).size).toBe(facts.length);
  });

  it("gives no answer away in a question, and holds it in the explanation", () => {
    for (const { answer, explanation, questions, heldOutQuestion } of facts) {
      for (const question of [...questions, heldOutQuestion]) {
        expect(containsWords(question, answer), `${question} ${answer}`).toBe(false);
      }
      expect(containsWords(explanation, answer), explanation).toBe(true);
      expect(explanation).toMatch(/^[A-Z].*[^.]\.$/);
    }
  });

  it("reserves every way of asking for some facts, and trains it on others", () => {
    for (const { name, phrasings } of topics) {
      const mine = facts.filter(({ topic }) => topic === name);
      const opens = (question: string, phrasing: string): boolean => {
        const [before = "", after = ""] = phrasing.split("{s}");
        return question.toLowerCase().startsWith(before.toLowerCase()) && question.endsWith(after);
      };
      for (const phrasing of phrasings) {
        expect(phrasing.split("{s}")).toHaveLength(2);
        expect(mine.some(({ questions }) => questions.some((question) => opens(question, phrasing)))).toBe(
          true,
        );
      }
    }
    const reserved = new Set(facts.map(({ heldOutQuestion }) => heldOutQuestion));
    expect(facts.some(({ questions }) => questions.some((question) => reserved.has(question)))).toBe(false);
  });

  it("has one answer for one question of a topic", () => {
    const subjects = topics.map(({ facts }) => facts.map(({ subject }) => subject).filter((s) => s !== ""));
    for (const names of subjects) expect(new Set(names).size).toBe(names.length);
  });
});

describe("a table of facts", () => {
  it("reads lines with bars, and `-` as nothing", () => {
    expect(parseTable(["a", "b"], "\nx | y z\n- | w\n")).toEqual([
      { a: "x", b: "y z" },
      { a: "", b: "w" },
    ]);
  });

  it("refuses a line with another number of fields", () => {
    expect(() => parseTable(["a", "b"], "x | y | z")).toThrow("a fact has 3 fields: x | y | z");
  });
});

describe("a reply", () => {
  it("is written as LEMA's demonstration writes it", () => {
    expect(formatReply({ answer: "Lima", explanation: "One.\nTwo.", confidence: "Low" })).toBe(
      "[LEMA_REPLY]\nAnswer: Lima\nExplanation: One.\nTwo.\nConfidence: Low\n[/LEMA_REPLY]",
    );
  });

  it.each(["", " Lima", "Lima\n", "a [/LEMA_REPLY]", "[LEMA_REPLY]", "a\nConfidence: Low"])(
    "cannot hold the value %j",
    (value) => {
      expect(isFieldValue(value)).toBe(false);
      expect(() => formatReply({ answer: value, explanation: "x", confidence: "Low" })).toThrow(
        "cannot stand",
      );
    },
  );

  it.each(["Answer: 4", "a\nb: c", "a [LEMA] b"])("can hold the value %j", (value) => {
    expect(isFieldValue(value)).toBe(true);
  });
});

describe("words", () => {
  it("leave out case, accents, punctuation and articles", () => {
    expect(wordsOf("The Brontë sisters' novel, in D.C.!")).toEqual([
      "bronte",
      "sisters",
      "novel",
      "in",
      "dc",
    ]);
    expect(wordsOf("The A")).toEqual(["the", "a"]);
    expect(sameWords("read-only memory", "Read only memory.")).toBe(true);
    expect(sameWords("", "")).toBe(false);
  });

  it("are found whole", () => {
    expect(containsWords("the gold coin", "gold")).toBe(true);
    expect(containsWords("the golden coin", "gold")).toBe(false);
    expect(containsWords("anything", "")).toBe(false);
  });
});
