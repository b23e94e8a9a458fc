/**
 * `lema chat`'s loop: a line in, a reply out, piece by piece. Replies go to stdout and all else to stderr, so that a pipe
 * gets what the model says and nothing besides.
 */
import type { CompletionOptions } from "../../chat/complete.ts";
import type { Conversation } from "../../chat/conversation.ts";
import { ReplyValidator } from "../../chat/reply-validator.ts";
import { DiagnosticError, type ExitCode } from "../../schemas/diagnostic.ts";
import type { CommandContext } from "../context.ts";
import { columnsOf, usesColor } from "../io.ts";
import { spoken } from "../render/human.ts";
import { wrapLine } from "../render/table.ts";
import { readLine } from "./commands.ts";
import type { LineSource } from "./line-source.ts";

export interface ChatLoopOptions {
  readonly completion: Omit<CompletionOptions, "signal">;
  /** Whether each reply is held to the LEMA reply format. */
  readonly check: boolean;
}

const PROMPT = "> ";
const MORE_PROMPT = "… ";

/**
 * Resolves when there are no more lines: to 2 where a check failed and no person was there to see it. Where lines come
 * from a pipe, what goes wrong is thrown; a person is told, and goes on.
 */
export async function chatLoop(
  conversation: Conversation,
  lines: LineSource,
  options: ChatLoopOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const note = (text: string): unknown => context.io.stderr.write(text);
  let failed = false;
  let said = 0;
  for (;;) {
    const line = await nextMessage(lines);
    if (line === null) break;
    if (line.trim() === "") continue;
    const read = readLine(line);
    if (read.kind === "unknown") {
      note(`there is no /${read.name}; /help shows what there is\n`);
      continue;
    }
    if (read.kind === "command") {
      const answer = read.run(conversation, read.argument);
      if (answer === null) break;
      const width = columnsOf(context.io.stderr);
      const wrapped = answer.flatMap((one) => one.split("\n").flatMap((line) => wrapLine(line, width)));
      note(wrapped.map((one) => `${one}\n`).join(""));
      continue;
    }
    try {
      const { inFormat, stopped } = await reply(
        conversation,
        read.text,
        { ...options, completion: nth(options.completion, said++) },
        lines.replying(),
        context,
      );
      failed ||= !inFormat;
      if (stopped && !lines.interactive) break;
    } catch (error) {
      if (!lines.interactive || !(error instanceof DiagnosticError)) throw error;
      note(context.render(error.diagnostics, "stderr"));
    }
  }
  return failed && !lines.interactive ? 2 : 0;
}

/** Each reply draws its own numbers. */
function nth(completion: ChatLoopOptions["completion"], count: number): ChatLoopOptions["completion"] {
  const { sampling } = completion;
  return { ...completion, sampling: { ...sampling, seed: sampling.seed + count } };
}

/** A line, or several where each but the last ends in a backslash. */
async function nextMessage(lines: LineSource): Promise<string | null> {
  let message = "";
  for (let prompt = PROMPT; ; prompt = MORE_PROMPT) {
    const line = await lines.next(prompt);
    if (line === null) return message === "" ? null : message;
    if (!line.endsWith("\\")) return message + line;
    message += `${line.slice(0, -1)}\n`;
  }
}

interface Said {
  /** True where nothing is checked. */
  readonly inFormat: boolean;
  readonly stopped: boolean;
}

async function reply(
  conversation: Conversation,
  text: string,
  { completion, check }: ChatLoopOptions,
  signal: AbortSignal,
  { io }: CommandContext,
): Promise<Said> {
  const validator = check ? new ReplyValidator() : null;
  const before = leftOut(conversation);
  const pieces = conversation.say(text, { ...completion, signal });
  let step = await pieces.next();
  let last = "\n";
  for (; !step.done; step = await pieces.next()) {
    io.stdout.write(io.stdout.isTTY ? spoken(step.value) : step.value);
    last = step.value;
    validator?.push(step.value);
  }
  if (!last.endsWith("\n")) io.stdout.write("\n");
  const { reason } = step.value;
  const notes: string[] = [];
  const { maxTokens } = completion;
  if (reason === "stopped") notes.push("(stopped)");
  if (reason === "max tokens") notes.push(`(cut off after ${maxTokens} tokens; --max-tokens allows more)`);
  if (reason === "context full") notes.push("(cut off: the context is full)");
  const gone = leftOut(conversation) - before;
  if (gone > 0) notes.push(`(the context is full: the model no longer reads the oldest ${gone} messages)`);
  const result = validator?.end();
  const paint = painter(usesColor(io.stderr, io.env));
  if (result?.valid === true) notes.push(paint(32, "✓ in the format"));
  if (result?.valid === false)
    notes.push(...result.problems.map(({ line, message }) => paint(31, `✗ line ${line}: ${message}`)));
  io.stderr.write(notes.map((one) => `${one}\n`).join(""));
  return { inFormat: result?.valid ?? true, stopped: reason === "stopped" };
}

function leftOut({ turns }: Conversation): number {
  return turns.filter(({ inContext }) => !inContext).length;
}

function painter(color: boolean): (code: number, text: string) => string {
  return (code, text) => (color ? `\u001b[${code}m${text}\u001b[0m` : text);
}
