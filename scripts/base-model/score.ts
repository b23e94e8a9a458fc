/**
 * Scores what answer.py wrote, and prints the report as JSON:
 *
 *     tsx scripts/base-model/score.ts answers.jsonl
 */
import { readFileSync } from "node:fs";
import { type AnsweredQuestion, evaluateReplies } from "../../chat/score-replies.ts";

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error("usage: score.ts answers.jsonl");
const lines = readFileSync(file, "utf8").trimEnd().split("\n");
console.log(
  JSON.stringify(evaluateReplies(lines.map((line) => JSON.parse(line) as AnsweredQuestion)), null, 2),
);
