/** Questions with known answers: those that no reply dataset trains, or a file of `lema dataset build`'s held-out rows. */
import { chat } from "../formats/chat.ts";
import { type Message, Row } from "../formats/format.ts";
import { readJsonLines } from "../jsonl.ts";
import { Problems } from "../problems.ts";
import { buildReplyDataset, type ReplyRow } from "./build.ts";

export interface KnownQuestion {
  /** The conversation up to the reply. */
  readonly messages: readonly Message[];
  /** The answer that counts as right. */
  readonly expected: string;
  readonly topic: string | undefined;
}

/** `count` of the held-out questions, as many as there are at most; those that the dataset of `seed` holds out. */
export function heldOutQuestions(seed: number, count: number): KnownQuestion[] {
  const { heldOut } = buildReplyDataset({ seed, heldOut: count });
  const rows = heldOut.trimEnd().split("\n");
  return rows.map((row) => {
    const { messages, answer, topic } = JSON.parse(row) as ReplyRow;
    return { messages: messages.slice(0, -1), expected: answer!, topic };
  });
}

/** The first `limit` rows of a held-out file. Throws `data.*` with the problems of its rows. */
export async function readQuestions(file: string, limit: number): Promise<KnownQuestion[]> {
  const problems = new Problems();
  const questions: KnownQuestion[] = [];
  for await (const { line, object, problem } of readJsonLines(file)) {
    if (questions.length === limit) break;
    if (problem !== undefined) {
      problems.add(problem);
      continue;
    }
    const row = new Row(object, { file, line });
    const sample = chat.read(row);
    const expected = row.string("answer");
    const messages = sample?.kind === "conversation" ? sample.messages : [];
    const asked = messages.at(-1)?.role === "assistant" ? messages.slice(0, -1) : messages;
    if (sample !== undefined && asked.at(-1)?.role !== "user")
      row.problem(
        "data.missing-field",
        "messages",
        "`messages` ask nothing: no user speaks before the reply",
      );
    for (const one of row.problems) problems.add(one);
    if (row.problems.length > 0) continue;
    const topic = typeof object.topic === "string" ? object.topic : undefined;
    questions.push({ messages: asked, expected: expected!, topic });
  }
  problems.throwIfAny(file);
  return questions;
}
