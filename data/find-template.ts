/** Finds the chat template that a recipe names: the tokenizer's own, a built-in one, or a `.jinja` file. */
import { readFile } from "node:fs/promises";
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import { nearest } from "../schemas/suggest.ts";
import { builtinTemplates } from "./builtin-templates.ts";
import { ChatTemplate, TEMPLATE_DATE } from "./template.ts";
import type { TextTokenizer } from "./tokenizer.ts";

/**
 * The template `name` with the special tokens of `tokenizer`; `date` is what it tells as today's.
 *
 * Throws `template.unreadable` when there is none of that name, `template.syntax` when it is not Jinja.
 */
export async function findTemplate(
  name: string,
  tokenizer: TextTokenizer,
  date: Date = TEMPLATE_DATE,
): Promise<ChatTemplate> {
  const { bosToken, eosToken } = tokenizer;
  return new ChatTemplate(name, await templateSource(name, tokenizer), { bosToken, eosToken, date });
}

async function templateSource(name: string, tokenizer: TextTokenizer): Promise<string> {
  const names = ["tokenizer", ...builtinTemplates.keys()];
  if (name === "tokenizer") {
    if (tokenizer.chatTemplate !== undefined) return tokenizer.chatTemplate;
    const hint = `name one in \`dataset.template\`: ${names.slice(1).join(", ")} or a .jinja file`;
    throw unreadable("the tokenizer has no chat template of its own", hint);
  }
  const builtin = builtinTemplates.get(name);
  if (builtin !== undefined) return builtin;
  if (!name.endsWith(".jinja")) {
    const guess = nearest(name, names);
    const hint =
      guess === undefined ? `known: ${names.join(", ")}, or a .jinja file` : `did you mean \`${guess}\`?`;
    throw unreadable(`there is no chat template \`${name}\``, hint);
  }
  try {
    return await readFile(name, "utf8");
  } catch (error) {
    throw unreadable(`cannot read the chat template: ${(error as Error).message}`);
  }
}

function unreadable(summary: string, hint?: string): DiagnosticError {
  return new DiagnosticError(diagnostic("template.unreadable", { summary, ...(hint && { hint }) }));
}
