import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { validateReply } from "../../../chat/reply-validator.ts";
import { chat } from "../../../data/formats/chat.ts";
import { Row } from "../../../data/formats/format.ts";
import { readJsonLines } from "../../../data/jsonl.ts";
import { buildReplyDataset, type ReplyRow } from "../../../data/reply/build.ts";
import { allFacts } from "../../../data/reply/corpus.ts";
import { temporaryDirectory } from "../byte-tokenizer.ts";

const rowsOf = (text: string): ReplyRow[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as ReplyRow);
const questionOf = ({ messages }: ReplyRow): string => messages[1]!.content;
const made = buildReplyDataset({ seed: 42, heldOut: 100 });
const train = rowsOf(made.train);
const heldOut = rowsOf(made.heldOut);
const facts = new Map(allFacts().map((fact) => [fact.id, fact]));

describe("the dataset", () => {
  it("has more than 5,000 examples, no two the same, of several topics and every confidence", () => {
    expect(train.length).toBeGreaterThan(5000);
    expect(new Set(train.map(questionOf)).size).toBe(train.length);
    expect(new Set(train.map(({ topic }) => topic)).size).toBeGreaterThan(10);
    const confidences = train.map(({ messages }) => /Confidence: (.*)/.exec(messages[2]!.content)![1]);
    expect(new Set(confidences)).toEqual(new Set(["High", "Medium", "Low"]));
  });

  it("differs by fact: replies are as many as facts, and stay different when numbers are left out", () => {
    const replies = new Set(train.map(({ messages }) => messages[2]!.content.replace(/\d/g, "")));
    expect(replies.size).toBe(new Set(train.map(({ fact }) => fact)).size);
    expect(replies.size).toBeGreaterThan(1000);
  });

  it("is in the reply format, with the answer of its fact", () => {
    for (const { messages, fact } of [...train, ...heldOut]) {
      expect(messages.map(({ role }) => role)).toEqual(["system", "user", "assistant"]);
      const { answer, explanation, confidence } = facts.get(fact)!;
      expect(validateReply(messages[2]!.content)).toEqual({
        valid: true,
        reply: { answer, explanation, confidence },
      });
    }
  });

  it("holds out questions whose facts are trained and whose wording is not", () => {
    expect(heldOut).toHaveLength(100);
    const questions = new Set(train.map(questionOf));
    const trained = new Set(train.map(({ fact }) => fact));
    for (const row of heldOut) {
      expect(questions.has(questionOf(row))).toBe(false);
      expect(trained.has(row.fact)).toBe(true);
      expect(row.answer).toBe(facts.get(row.fact)!.answer);
    }
  });

  it("draws held-out questions only about trained facts, also from a few examples", () => {
    const few = buildReplyDataset({ seed: 1, examples: 60, heldOut: 30 });
    const trained = new Set(rowsOf(few.train).map(({ fact }) => fact));
    expect(few.manifest.facts).toBe(trained.size);
    for (const { fact } of rowsOf(few.heldOut)) expect(trained.has(fact)).toBe(true);
  });

  it("is the same for the same seed; another seed never trains on what this one holds out", () => {
    expect(buildReplyDataset({ seed: 42, heldOut: 100 })).toEqual(made);
    const other = buildReplyDataset({ seed: 43, heldOut: 100 });
    expect(other.manifest.digest).not.toBe(made.manifest.digest);
    const questions = new Set(rowsOf(other.train).map(questionOf));
    expect(heldOut.filter((row) => questions.has(questionOf(row)))).toEqual([]);
  });

  it("is read by the format `chat`", async () => {
    const file = join(await temporaryDirectory(), "data.jsonl");
    await writeFile(file, made.train);
    let rows = 0;
    for await (const { object, line } of readJsonLines(file)) {
      const row = new Row(object!, { file, line });
      expect(chat.read(row)).toMatchObject({ kind: "conversation" });
      rows++;
    }
    expect(rows).toBe(train.length);
  });

  it("is described by its manifest", () => {
    const { manifest } = made;
    const sha256 = (text: string): string => `sha256:${createHash("sha256").update(text).digest("hex")}`;
    expect(manifest.train).toEqual({
      rows: train.length,
      bytes: Buffer.byteLength(made.train),
      digest: sha256(made.train),
    });
    expect(manifest.held_out).toMatchObject({ rows: 100, digest: sha256(made.heldOut) });
    const topics = Object.values(manifest.topics);
    const sum = (of: "facts" | "examples" | "held_out"): number =>
      topics.reduce((total, counts) => total + counts[of], 0);
    expect([sum("facts"), sum("examples"), sum("held_out")]).toEqual([manifest.facts, train.length, 100]);
  });
});
