/**
 * The proof that a model learned: how many of its replies are in the format, how many answers are right, and what the base
 * gives to the same questions, both as they are put to the model and as plain prose.
 */
import { findTemplate } from "../data/find-template.ts";
import type { KnownQuestion } from "../data/reply/questions.ts";
import { type AskOptions, evaluateModel, followUps, withoutSystem } from "./ask-questions.ts";
import { type ChatModel, encodeConversation } from "./complete.ts";
import { readReplyTurn } from "./reply-turn.ts";
import type { EvaluationReport } from "./score-replies.ts";

/** What `lema eval --json` prints. */
export interface RunReport extends EvaluationReport {
  /** As the user named it. */
  readonly model: string;
  /** The chat template that the questions were put in. */
  readonly template: string;
  /**
   * Each question again, behind the one before it and the model's reply to that, as far as both fit the context; null
   * where none does, or the first round ended early.
   */
  readonly followUp: EvaluationReport | null;
  /** Null where it was not asked, or the questions ended early. */
  readonly base: BaseReport | null;
}

export interface BaseReport {
  /** Asked as the model was. */
  readonly format: EvaluationReport;
  /** In the tokenizer's own chat template without a system prompt; null where it has none. */
  readonly prose: EvaluationReport | null;
}

export type Speaker = "model" | "model in a second turn" | "base" | "base in prose";

export interface EvaluateRunOptions extends Omit<AskOptions, "onReply"> {
  /**
   * Opens a model; it is closed before the next is opened, so that there is memory for one. `template`: null for the model
   * itself, which decides; the base is asked in the same.
   */
  readonly open: (which: "model" | "base", template: string | null) => Promise<ChatModel>;
  /** As the user named it. */
  readonly model: string;
  readonly base: "asked" | "not asked";
  readonly onReply?: (speaker: Speaker, answered: number) => void;
}

export async function evaluateRun(
  questions: readonly KnownQuestion[],
  options: EvaluateRunOptions,
): Promise<RunReport> {
  const { template, report, followUp } = await withModel(await options.open("model", null), (chat) =>
    askModel(chat, questions, options),
  );
  const base =
    options.base === "not asked" || options.signal.aborted
      ? null
      : await withModel(await options.open("base", template), (chat) => askBase(chat, questions, options));
  return { model: options.model, template, ...report, followUp, base };
}

async function askModel(
  chat: ChatModel,
  questions: readonly KnownQuestion[],
  options: EvaluateRunOptions,
): Promise<{ template: string; report: EvaluationReport; followUp: EvaluationReport | null }> {
  const report = await ask(chat, questions, options, "model");
  const template = chat.template.name;
  if (options.signal.aborted) return { template, report, followUp: null };
  const room = chat.cache.capacity - options.maxTokens;
  const second = followUps(questions, report).filter(
    ({ messages }) => encodeConversation(chat, messages).length <= room,
  );
  const followUp = second.length > 0 ? await ask(chat, second, options, "model in a second turn") : null;
  return { template, report, followUp };
}

async function askBase(
  chat: ChatModel,
  questions: readonly KnownQuestion[],
  options: EvaluateRunOptions,
): Promise<BaseReport> {
  const format = await ask(chat, questions, options, "base");
  if (chat.tokenizer.chatTemplate === undefined) return { format, prose: null };
  const own = await inOwnTemplate(chat);
  return { format, prose: await ask(own, withoutSystem(questions), options, "base in prose") };
}

function ask(
  chat: ChatModel,
  questions: readonly KnownQuestion[],
  { maxTokens, signal, onReply }: EvaluateRunOptions,
  speaker: Speaker,
): Promise<EvaluationReport> {
  const count = (_: unknown, answered: number): void => onReply?.(speaker, answered);
  return evaluateModel(chat, questions, { maxTokens, signal, onReply: count });
}

async function inOwnTemplate(chat: ChatModel): Promise<ChatModel> {
  const template = await findTemplate("tokenizer", chat.tokenizer);
  return { ...chat, template, turn: readReplyTurn(template, chat.tokenizer, chat.turn.endTokens) };
}

async function withModel<Result>(
  chat: ChatModel,
  use: (chat: ChatModel) => Promise<Result>,
): Promise<Result> {
  try {
    return await use(chat);
  } finally {
    await chat.cache.close();
  }
}
