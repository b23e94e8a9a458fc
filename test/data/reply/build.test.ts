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
import { formatReply } from "../../../data/reply/reply.ts";
import { temporaryDirectory } from "../byte-tokenizer.ts";

const rowsOf = (text: string): ReplyRow[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as ReplyRow);
const contentsOf = ({ messages }: ReplyRow, role: string): string[] =>
  messages.filter((message) => message.role === role).map(({ content }) => content);
const questionOf = (row: ReplyRow): string => contentsOf(row, "user").at(-1)!;
const made = buildReplyDataset({ seed: 42, heldOut: 100 });
const train = rowsOf(made.train);
const heldOut = rowsOf(made.heldOut);
const replies = train.flatMap((row) => contentsOf(row, "assistant"));
const facts = new Map(allFacts().map((fact) => [fact.id, fact]));

describe("the dataset", () => {
  it("has more than 5,000 rows and more examples, no two the same, of several topics and every confidence", () => {
    expect(train.length).toBeGreaterThan(5000);
    const questions = train.flatMap((row) => contentsOf(row, "user"));
    expect(questions.length).toBe(made.manifest.examples);
    expect(new Set(questions).size).toBe(questions.length);
    expect(new Set(train.map(({ topic }) => topic)).size).toBeGreaterThan(10);
    const confidences = replies.map((reply) => /Confidence: (.*)/.exec(reply)![1]);
    expect(new Set(confidences)).toEqual(new Set(["High", "Medium", "Low"]));
  });

  it("differs by fact: replies are as many as facts, and stay different when numbers are left out", () => {
    const distinct = new Set(replies.map((reply) => reply.replace(/\d/g, "")));
    expect(distinct.size).toBe(made.manifest.facts);
    expect(distinct.size).toBeGreaterThan(1000);
  });

  it("is in the reply format in every turn, with the answers of the facts", () => {
    const inFormat = new Set([...facts.values()].map(formatReply));
    for (const row of [...train, ...heldOut]) {
      const turns = contentsOf(row, "assistant");
      const roles = turns.flatMap(() => ["user", "assistant"]);
      expect(row.messages.map(({ role }) => role)).toEqual(["system", ...roles]);
      for (const reply of turns) {
        expect(inFormat.has(reply)).toBe(true);
        expect(validateReply(reply).valid).toBe(true);
      }
      expect(turns.at(-1)).toBe(formatReply(facts.get(row.fact)!));
    }
  });

  it("has as many conversations of two examples as are asked for, else a quarter as many as examples", () => {
    const conversations = (rows: readonly ReplyRow[]): number =>
      rows.filter((row) => contentsOf(row, "user").length === 2).length;
    expect(conversations(train)).toBe(Math.floor(made.manifest.examples / 4));
    const few = buildReplyDataset({ seed: 1, examples: 21, conversations: 10, heldOut: 3 });
    expect(conversations(rowsOf(few.train))).toBe(10);
    expect(few.manifest).toMatchObject({ examples: 21, conversations: 10, train: { rows: 11 } });
    const single = buildReplyDataset({ seed: 1, examples: 21, conversations: 0, heldOut: 3 });
    expect(conversations(rowsOf(single.train))).toBe(0);
  });

  it("holds out questions whose facts are trained and whose wording is not", () => {
    expect(heldOut).toHaveLength(100);
    const questions = new Set(train.flatMap((row) => contentsOf(row, "user")));
    const trained = new Set(replies);
    for (const row of heldOut) {
      expect(questions.has(questionOf(row))).toBe(false);
      expect(trained.has(formatReply(facts.get(row.fact)!))).toBe(true);
      expect(row.answer).toBe(facts.get(row.fact)!.answer);
    }
  });

  it("draws held-out questions only about trained facts, also from a few examples", () => {
    const few = buildReplyDataset({ seed: 1, examples: 60, heldOut: 30 });
    const trained = new Set(rowsOf(few.train).flatMap((row) => contentsOf(row, "assistant")));
    expect(few.manifest.facts).toBe(trained.size);
    for (const { fact } of rowsOf(few.heldOut)) expect(trained.has(formatReply(facts.get(fact)!))).toBe(true);
  });

  it("is the same for the same seed; another seed never trains on what this one holds out", () => {
    expect(buildReplyDataset({ seed: 42, heldOut: 100 })).toEqual(made);
    const other = buildReplyDataset({ seed: 43, heldOut: 100 });
    expect(other.manifest.digest).not.toBe(made.manifest.digest);
    const questions = new Set(rowsOf(other.train).flatMap((row) => contentsOf(row, "user")));
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
    expect([sum("facts"), sum("examples"), sum("held_out")]).toEqual([
      manifest.facts,
      manifest.examples,
      100,
    ]);
  });
});
