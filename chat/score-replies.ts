/**
 * Scores replies to questions whose answers are known: is the reply in the format, and is its answer right?
 *
 * The answer of a reply in the format is its field Answer, which must be the expected one, word for word. Of any other
 * text one can only ask whether it mentions the expected answer: plain prose is measured generously, so a model that
 * loses accuracy when it learns the format cannot look better than it is.
 */
import type { Confidence } from "../data/reply/reply.ts";
import { containsWords, sameWords } from "../data/reply/words.ts";
import { type ReplyProblem, validateReply } from "./reply-validator.ts";

export interface AnsweredQuestion {
  readonly question: string;
  /** The answer that counts as right. */
  readonly expected: string;
  readonly reply: string;
  /** What the counts are grouped by. */
  readonly topic?: string;
}

export interface ScoredReply extends AnsweredQuestion {
  readonly inFormat: boolean;
  /** Why it is not in the format. */
  readonly problems: readonly ReplyProblem[];
  /** What was compared: the field Answer, or the whole text of a reply that is not in the format. */
  readonly answer: string;
  readonly correct: boolean;
  readonly confidence: Confidence | null;
}

export interface ReplyCounts {
  readonly questions: number;
  readonly inFormat: number;
  readonly correct: number;
}

/** What `lema eval` prints as JSON. */
export interface EvaluationReport extends ReplyCounts {
  /** Shares of all questions, in [0, 1]; null when nothing was asked. */
  readonly formatCompliance: number | null;
  readonly accuracy: number | null;
  readonly topics: Readonly<Record<string, ReplyCounts>>;
  readonly replies: readonly ScoredReply[];
}

export function scoreReply(answered: AnsweredQuestion): ScoredReply {
  const { expected, reply } = answered;
  const result = validateReply(reply);
  if (!result.valid) {
    const correct = containsWords(reply, expected);
    return {
      ...answered,
      inFormat: false,
      problems: result.problems,
      answer: reply,
      correct,
      confidence: null,
    };
  }
  const { answer, confidence } = result.reply;
  const correct = sameWords(answer, expected);
  return { ...answered, inFormat: true, problems: [], answer, correct, confidence };
}

export function evaluateReplies(answered: readonly AnsweredQuestion[]): EvaluationReport {
  const replies = answered.map(scoreReply);
  const byTopic = new Map<string, ScoredReply[]>();
  for (const reply of replies) {
    if (reply.topic === undefined) continue;
    byTopic.set(reply.topic, [...(byTopic.get(reply.topic) ?? []), reply]);
  }
  const counts = countReplies(replies);
  const share = (count: number): number | null => (replies.length === 0 ? null : count / replies.length);
  return {
    ...counts,
    formatCompliance: share(counts.inFormat),
    accuracy: share(counts.correct),
    topics: Object.fromEntries([...byTopic].map(([topic, group]) => [topic, countReplies(group)])),
    replies,
  };
}

function countReplies(replies: readonly ScoredReply[]): ReplyCounts {
  return {
    questions: replies.length,
    inFormat: replies.filter(({ inFormat }) => inFormat).length,
    correct: replies.filter(({ correct }) => correct).length,
  };
}
