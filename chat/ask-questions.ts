/**
 * Puts questions with known answers to a model, greedily, each as a conversation of its own, and scores the replies.
 *
 *     const report = await evaluateModel(model, heldOutQuestions(42, 100), { maxTokens: 160, signal: NEVER });
 *     report.formatCompliance;
 */
import type { KnownQuestion } from "../data/reply/questions.ts";
import { type ChatModel, completeReply, encodeConversation, GREEDY } from "./complete.ts";
import { type EvaluationReport, evaluateReplies, type ScoredReply, scoreReply } from "./score-replies.ts";

export interface AskOptions {
  /** Of one reply; a longer one is cut there. */
  readonly maxTokens: number;
  /** Ends the questions; the report then covers those that were answered. */
  readonly signal: AbortSignal;
  /** After each reply. */
  readonly onReply?: (reply: ScoredReply, answered: number) => void;
}

/** Pure but for the model: the same model and questions give the same report, whatever was asked before. */
export async function evaluateModel(
  model: ChatModel,
  questions: readonly KnownQuestion[],
  { maxTokens, signal, onReply }: AskOptions,
): Promise<EvaluationReport> {
  const answered: ScoredReply[] = [];
  for (const { messages, expected, topic } of questions) {
    const prompt = encodeConversation(model, messages);
    const completion = completeReply(model, prompt, { maxTokens, sampling: GREEDY, stops: [], signal });
    let step = await completion.next();
    while (!step.done) step = await completion.next();
    if (step.value.reason === "stopped") break;
    const question = messages.at(-1)!.content;
    const reply = scoreReply({
      question,
      expected,
      reply: step.value.text,
      ...(topic !== undefined && { topic }),
    });
    answered.push(reply);
    onReply?.(reply, answered.length);
  }
  return evaluateReplies(answered);
}

/** The questions as a model without the format is asked them: without a system prompt. */
export function withoutSystem(questions: readonly KnownQuestion[]): KnownQuestion[] {
  return questions.map(({ messages, ...rest }) => ({
    ...rest,
    messages: messages.filter(({ role }) => role !== "system"),
  }));
}

/**
 * Each question as the second of a conversation: behind the one before it (behind the first: the last), and what
 * `report` has as the reply to that.
 */
export function followUps(
  questions: readonly KnownQuestion[],
  { replies }: EvaluationReport,
): KnownQuestion[] {
  return questions.map(({ messages, ...rest }, index) => {
    const before = (index + questions.length - 1) % questions.length;
    const exchange = [
      ...questions[before]!.messages,
      { role: "assistant" as const, content: replies[before]!.reply },
    ];
    return { ...rest, messages: [...exchange, ...messages.filter(({ role }) => role !== "system")] };
  });
}
