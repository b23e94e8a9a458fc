/**
 * Chat templates: from a list of messages to one text, and which parts of it the model learns.
 *
 * Trained parts are found in one of two ways:
 * - a template with `{% generation %}` blocks says so itself (Transformers' convention);
 * - otherwise, by prefix: what `messages[0..i]` renders beyond `messages[0..i)` plus the generation prompt is the
 *   i-th reply. This is what generation sees, and holds only where the longer text begins with the shorter one; a
 *   template for which it does not is refused (`template.unstable`).
 *
 * Invariant: rendering depends on the template, the messages, the special tokens and the given date; on no clock.
 */
import { type Diagnostic, DiagnosticError, diagnostic, invariant } from "../schemas/diagnostic.ts";
import type { Message } from "./formats/format.ts";
import { compileJinja, type Render } from "./jinja.ts";
import { strftime } from "./strftime.ts";

/** Half-open range of UTF-16 code units: `[start, end)`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A text with the parts of it that are learned, in order and disjoint. */
export interface TrainedText {
  readonly text: string;
  readonly trained: readonly Span[];
}

export interface TemplateContext {
  readonly bosToken: string | undefined;
  readonly eosToken: string | undefined;
  /** What `strftime_now` tells; fixed, so that the same data gives the same tokens on another day. */
  readonly date: Date;
}

/** Llama 3.1's own fallback date. */
export const TEMPLATE_DATE = new Date("2024-07-26T00:00:00Z");

// Unicode noncharacters mark where a generation block begins and ends: they cannot be part of well-formed text.
const OPEN = "\uFDD0";
const CLOSE = "\uFDD1";
const GENERATION_TAG = /\{%(-?)\s*(end)?generation\s*(-?)%\}/g;

export class ChatTemplate {
  /** As in messages: a built-in name, a file or `tokenizer`. */
  readonly name: string;
  readonly source: string;
  readonly #render: Render;
  readonly #marksTrained: boolean;
  readonly #variables: Readonly<Record<string, unknown>>;
  readonly #eosToken: string | undefined;

  /** Throws `template.syntax` when `source` is not a template. */
  constructor(name: string, source: string, context: TemplateContext) {
    this.name = name;
    this.source = source;
    this.#eosToken = context.eosToken;
    this.#variables = {
      ...(context.bosToken === undefined ? {} : { bos_token: context.bosToken }),
      ...(context.eosToken === undefined ? {} : { eos_token: context.eosToken }),
      strftime_now: (format: string) => strftime(context.date, format),
    };
    // The tags become `if` blocks that print a mark, so that their `-` signs and line breaks keep their meaning.
    const marked = source.replace(
      GENERATION_TAG,
      (_, left: string, end: string | undefined, right: string) => {
        return `{%${left} if true %}{{ '${end === undefined ? OPEN : CLOSE}' }}{% endif ${right}%}`;
      },
    );
    this.#marksTrained = marked !== source;
    try {
      this.#render = compileJinja(marked);
    } catch (error) {
      const summary = `the chat template \`${name}\` is not valid Jinja: ${(error as Error).message}`;
      throw new DiagnosticError(diagnostic("template.syntax", { summary }));
    }
  }

  /** The text of a conversation; with `generationPrompt`, up to where the next reply begins. */
  render(messages: readonly Message[], generationPrompt: "with-generation-prompt" | "as-is"): string {
    const text = this.#renderMarked(messages, generationPrompt === "with-generation-prompt");
    return this.#marksTrained ? text.replaceAll(OPEN, "").replaceAll(CLOSE, "") : text;
  }

  /** The text of a conversation with the replies to learn, each with the end-of-turn that the template gives it. */
  renderTrained(messages: readonly Message[]): TrainedText {
    return this.#marksTrained ? this.#trainedByBlock(messages) : this.#trainedByPrefix(messages);
  }

  #trainedByBlock(messages: readonly Message[]): TrainedText {
    const marked = this.#renderMarked(messages, false);
    const trained: Span[] = [];
    let text = "";
    let start: number | undefined;
    for (const piece of marked.split(/([\uFDD0\uFDD1])/)) {
      if (piece === OPEN) start = text.length;
      else if (piece === CLOSE) {
        invariant(start !== undefined, "a generation block ends before it begins");
        trained.push({ start, end: text.length });
        start = undefined;
      } else text += piece;
    }
    return { text, trained: trained.map((span) => this.#withEos(text, span)) };
  }

  #trainedByPrefix(messages: readonly Message[]): TrainedText {
    const text = this.#renderMarked(messages, false);
    const trained: Span[] = [];
    for (const [i, message] of messages.entries()) {
      if (message.role !== "assistant") continue;
      const prompt = this.#renderMarked(messages.slice(0, i), true);
      const upToReply =
        i === messages.length - 1 ? text : this.#renderMarked(messages.slice(0, i + 1), false);
      if (!upToReply.startsWith(prompt)) throw unstable(this.name, i, "its own prompt", prompt, upToReply);
      if (!text.startsWith(upToReply))
        throw unstable(this.name, i, "the whole conversation", upToReply, text);
      trained.push(this.#withoutTail(text, { start: prompt.length, end: upToReply.length }));
    }
    return { text, trained };
  }

  /** A reply is taught to end even where the template closes its block before EOS. */
  #withEos(text: string, { start, end }: Span): Span {
    const eos = this.#eosToken;
    return { start, end: eos !== undefined && text.startsWith(eos, end) ? end + eos.length : end };
  }

  /** White space after EOS is layout between turns: generation stops before it, so it is not learned. */
  #withoutTail(text: string, { start, end }: Span): Span {
    const reply = text.slice(start, end).trimEnd();
    const ends = this.#eosToken !== undefined && reply.endsWith(this.#eosToken);
    return { start, end: ends ? start + reply.length : end };
  }

  #renderMarked(messages: readonly Message[], addGenerationPrompt: boolean): string {
    if (
      this.#marksTrained &&
      messages.some(({ content }) => content.includes(OPEN) || content.includes(CLOSE))
    ) {
      throw renderError(this.name, "a message contains the Unicode noncharacter U+FDD0 or U+FDD1");
    }
    try {
      return this.#render({
        ...this.#variables,
        messages,
        add_generation_prompt: addGenerationPrompt,
      });
    } catch (error) {
      throw renderError(this.name, (error as Error).message);
    }
  }
}

function renderError(name: string, reason: string): DiagnosticError {
  const summary = `the chat template \`${name}\` rejects this conversation: ${reason}`;
  return new DiagnosticError(diagnostic("template.render", { summary }));
}

function unstable(
  name: string,
  turn: number,
  against: string,
  shorter: string,
  longer: string,
): DiagnosticError {
  let same = 0;
  while (same < shorter.length && shorter[same] === longer[same]) same++;
  const show = (text: string): string => JSON.stringify(text.slice(Math.max(0, same - 20), same + 20));
  const problem: Diagnostic = diagnostic("template.unstable", {
    summary: `the chat template \`${name}\` is not prefix-stable: messages[0..${turn}] does not begin like ${against}`,
    detail: `they part at character ${same}: ${show(shorter)} became ${show(longer)}`,
    hint: "mark the replies in the template with {% generation %} … {% endgeneration %}, or use another template",
  });
  return new DiagnosticError(problem);
}
