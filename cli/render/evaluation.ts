/** `lema eval`'s report as text. */
import type { RunReport } from "../../chat/evaluate-run.ts";
import type { ReplyCounts, ScoredReply } from "../../chat/score-replies.ts";
import { formatShare, formatTable } from "./table.ts";

/** `samples`: how many replies are shown, the first ones, and as many of those that failed. */
export function renderEvaluation(report: RunReport, samples: number): string[] {
  const { base, topics, replies, template, model } = report;
  const head = ["", "questions", "in the format", "right"];
  const rows = Object.entries(topics).map(([topic, counts]) => row(topic, counts));
  const all = rows.length > 1 ? [row("all", report)] : [row("answers", report)];
  const others = base === null ? [] : [row("base, asked the same", base.format)];
  if (base?.prose) others.push([...row("base, in prose", base.prose).with(2, "–")]);
  const failed = replies.filter(({ inFormat, correct }) => !inFormat || !correct);
  return [
    `${model}, asked in the chat template ${template === "tokenizer" ? "of its tokenizer" : template}`,
    "",
    ...formatTable([head, ...(rows.length > 1 ? rows : []), ...all, ...others], "lr"),
    ...replies.slice(0, samples).flatMap((reply) => ["", ...sample(reply)]),
    ...failed.slice(0, samples).flatMap((reply) => ["", ...failure(reply)]),
    ...(failed.length > samples
      ? ["", `${failed.length - samples} more failed; --json has all replies`]
      : []),
  ];
}

function row(name: string, { questions, inFormat, correct }: ReplyCounts): string[] {
  const part = (count: number): string =>
    questions === 0 ? "–" : `${count} (${formatShare(count / questions)})`;
  return [name, String(questions), part(inFormat), part(correct)];
}

function sample({ question, reply }: ScoredReply): string[] {
  return [`> ${question}`, ...reply.split("\n")];
}

function failure(scored: ScoredReply): string[] {
  const problems = scored.problems.map(({ line, message }) => `  line ${line}: ${message}`);
  const wrong = scored.correct ? [] : [`  expected the answer ${scored.expected}`];
  return ["Failed:", ...sample(scored), ...wrong, ...problems];
}
