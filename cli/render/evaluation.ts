/** `lema eval`'s report as text. */
import type { RunReport } from "../../chat/evaluate-run.ts";
import type { ReplyCounts, ScoredReply } from "../../chat/score-replies.ts";
import { spoken } from "./human.ts";
import { formatShare, formatTable } from "./table.ts";

/** `samples`: how many replies are shown, the first ones, and of others that failed as many. */
export function renderEvaluation(report: RunReport, samples: number): string[] {
  const { base, followUp, topics, replies, template, model } = report;
  const head = ["", "questions", "in the format", "right"];
  const rows = Object.entries(topics).map(([topic, counts]) => row(topic, counts));
  const all = rows.length > 1 ? [row("all", report)] : [row("answers", report)];
  const others = followUp === null ? [] : [row("as a second turn", followUp)];
  if (base !== null) others.push(row("base, asked the same", base.format));
  if (base?.prose) others.push([...row("base, in prose", base.prose).with(2, "–")]);
  const shown = replies.slice(0, samples);
  const failed = replies.slice(samples).filter((reply) => !isGood(reply));
  return [
    `${model}, asked in the chat template ${template === "tokenizer" ? "of its tokenizer" : template}`,
    "",
    ...formatTable([head, ...(rows.length > 1 ? rows : []), ...all, ...others], "lr"),
    ...[...shown, ...failed.slice(0, samples)].flatMap((reply) => ["", ...sample(reply)]),
    ...(failed.length > samples
      ? ["", `${failed.length - samples}${samples > 0 ? " more" : ""} failed; --json has all replies`]
      : []),
  ];
}

function row(name: string, { questions, inFormat, correct }: ReplyCounts): string[] {
  const part = (count: number): string =>
    questions === 0 ? "–" : `${count} (${formatShare(count / questions)})`;
  return [name, String(questions), part(inFormat), part(correct)];
}

function isGood({ inFormat, correct }: ScoredReply): boolean {
  return inFormat && correct;
}

/** A reply as it came, and below it what is wrong with it. */
function sample({ question, reply, expected, correct, problems }: ScoredReply): string[] {
  const wrong = correct ? [] : [`wrong: expected ${expected}`];
  const [first, ...more] = problems;
  const others = more.length === 0 ? "" : ` (and ${more.length} more)`;
  const form =
    first === undefined ? [] : [`not in the format: line ${first.line}: ${first.message}${others}`];
  return [`> ${question}`, ...spoken(reply).split("\n"), ...[...wrong, ...form].map((line) => `✗ ${line}`)];
}
