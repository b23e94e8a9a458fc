/**
 * Builds the dataset that teaches the reply format: chat rows to train on, questions to test with, and a manifest.
 *
 * A pure function of the options. An example is a fact asked in one way; no two are the same. Most are rows of their own;
 * some stand in a conversation with another, so that the format is kept after the first reply too. The seed decides the
 * order, which examples are taken when not all are, which of them share a conversation, and which held-out questions are
 * drawn; what may be trained on and what is held out is the same for every seed (`corpus.ts`). Every held-out question
 * is about a fact that is trained.
 */
import { createHash } from "node:crypto";
import { shuffle } from "../../schemas/counter-rng.ts";
import { DiagnosticError, diagnostic } from "../../schemas/diagnostic.ts";
import { LEMA_SYSTEM_PROMPT } from "../builtin-templates.ts";
import { allFacts, type Fact } from "./corpus.ts";
import { type Confidence, formatReply } from "./reply.ts";

export interface ReplyDatasetOptions {
  readonly seed: number;
  /** Default: all there are. */
  readonly examples?: number;
  /** Rows of two examples, one after the other. Default: half of all examples stand in one. */
  readonly conversations?: number;
  /** Questions of the held-out file. */
  readonly heldOut: number;
}

type Message = {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
};

/** A row of either file; the format `chat` reads the messages. */
export interface ReplyRow {
  readonly messages: readonly Message[];
  /** Of the last question. */
  readonly topic: string;
  /** The id of the fact that the last question is about. */
  readonly fact: string;
  /** The expected answer, in held-out rows. */
  readonly answer?: string;
}

export interface TopicCounts {
  readonly confidence: Confidence;
  readonly facts: number;
  readonly examples: number;
  readonly held_out: number;
}

export interface ReplyDatasetFile {
  readonly rows: number;
  readonly bytes: number;
  /** `sha256:…` of the file. */
  readonly digest: string;
}

export interface ReplyDatasetManifest {
  readonly seed: number;
  readonly facts: number;
  readonly examples: number;
  /** Rows of two examples. */
  readonly conversations: number;
  readonly topics: Readonly<Record<string, TopicCounts>>;
  readonly held_out_rule: string;
  readonly train: ReplyDatasetFile;
  readonly held_out: ReplyDatasetFile;
  /** `sha256:…` over the digests of both files. */
  readonly digest: string;
}

export interface ReplyDataset {
  /** JSON Lines. */
  readonly train: string;
  /** JSON Lines. */
  readonly heldOut: string;
  readonly manifest: ReplyDatasetManifest;
}

interface Asked {
  readonly fact: Fact;
  readonly question: string;
}

const HELD_OUT_RULE =
  "one way of asking each fact is reserved, the same for every seed; the fact is trained in other ways, " +
  "the way is trained on other facts, the two are never trained together";

/** Throws `data.too-few` when more is asked for than the corpus holds. */
export function buildReplyDataset(options: ReplyDatasetOptions): ReplyDataset {
  const { seed, examples, heldOut } = options;
  const facts = allFacts();
  const all = facts.flatMap((fact) => fact.questions.map((question): Asked => ({ fact, question })));
  const train = draw(all, examples ?? all.length, seed, "examples");
  const trained = new Set(train.map(({ fact }) => fact));
  const reserved = facts.filter((fact) => trained.has(fact));
  const tested = draw(
    reserved.map((fact): Asked => ({ fact, question: fact.heldOutQuestion })),
    heldOut,
    seed,
    "held-out questions",
  );
  const rows = trainRows(train, options.conversations ?? Math.floor(train.length / 4), seed);
  const texts = { train: jsonLines(rows), heldOut: jsonLines(tested.map(heldOutRow)) };
  const files = { train: describe(texts.train), held_out: describe(texts.heldOut) };
  return {
    ...texts,
    manifest: {
      seed,
      facts: trained.size,
      examples: train.length,
      conversations: train.length - rows.length,
      topics: countTopics(facts, train, tested),
      held_out_rule: HELD_OUT_RULE,
      ...files,
      digest: digestOf(`${files.train.digest}\n${files.held_out.digest}\n`),
    },
  };
}

/** `count` of the items in seeded order. */
function draw(items: readonly Asked[], count: number, seed: number, what: string): Asked[] {
  refuseTooMany(count, items.length, what);
  return [...shuffle(items.length, seed, `reply.${what}`).subarray(0, count)].map((index) => items[index]!);
}

function refuseTooMany(count: number, most: number, what: string): void {
  if (count <= most) return;
  const summary = `${count} ${what} are asked for, and there are ${most}`;
  throw new DiagnosticError(diagnostic("data.too-few", { summary, hint: `ask for at most ${most}` }));
}

/** Each example once, the first ones two by two in conversations, all in seeded order. */
function trainRows(examples: readonly Asked[], conversations: number, seed: number): ReplyRow[] {
  refuseTooMany(conversations, Math.floor(examples.length / 2), "conversations");
  const pairs = Array.from({ length: conversations }, (_, i) => examples.slice(2 * i, 2 * i + 2));
  const single = examples.slice(2 * conversations).map((example) => [example]);
  const rows = [...pairs, ...single].map(rowOf);
  return [...shuffle(rows.length, seed, "reply.rows")].map((index) => rows[index]!);
}

/** A conversation about the questions, in their order. */
function rowOf(asked: readonly Asked[]): ReplyRow {
  const { topic, id } = asked.at(-1)!.fact;
  const exchanges = asked.flatMap(({ fact, question }): Message[] => [
    { role: "user", content: question },
    { role: "assistant", content: formatReply(fact) },
  ]);
  return { messages: [{ role: "system", content: LEMA_SYSTEM_PROMPT }, ...exchanges], topic, fact: id };
}

function heldOutRow(asked: Asked): ReplyRow {
  return { ...rowOf([asked]), answer: asked.fact.answer };
}

function countTopics(
  facts: readonly Fact[],
  train: readonly Asked[],
  tested: readonly Asked[],
): Record<string, TopicCounts> {
  const names = [...new Set(facts.map(({ topic }) => topic))];
  return Object.fromEntries(
    names.flatMap((topic) => {
      const examples = train.filter(({ fact }) => fact.topic === topic);
      if (examples.length === 0) return [];
      const counts: TopicCounts = {
        confidence: examples[0]!.fact.confidence,
        facts: new Set(examples.map(({ fact }) => fact)).size,
        examples: examples.length,
        held_out: tested.filter(({ fact }) => fact.topic === topic).length,
      };
      return [[topic, counts]];
    }),
  );
}

function jsonLines(rows: readonly ReplyRow[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}

function describe(text: string): ReplyDatasetFile {
  const lines = text.split("\n").length - 1;
  return { rows: lines, bytes: Buffer.byteLength(text), digest: digestOf(text) };
}

function digestOf(text: string): string {
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}
