/**
 * What a conversation needs beside the session: the tokenizer, the chat template and where a reply ends.
 *
 * A run is talked to in the template that it was trained with; a model in its tokenizer's own, or else in `lema-reply`.
 */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { findTemplate } from "../data/find-template.ts";
import { loadTokenizer, type TextTokenizer } from "../data/tokenizer.ts";
import { readJsonObject } from "../models/read-json.ts";
import { resolvedRecipeSchema } from "../schemas/recipe.ts";
import type { AdapterRun } from "../workflow/find-adapter.ts";
import type { GenerationFiles } from "../workflow/open-generation.ts";
import type { ChatModel } from "./complete.ts";
import type { GenerationSource } from "./generate.ts";
import { readReplyTurn } from "./reply-turn.ts";
import { TokenCache } from "./token-cache.ts";

export interface ChatFilesOptions {
  /** A chat template's name or file, as in recipes; null: see above. */
  readonly template: string | null;
  readonly cwd: string;
}

/** Throws diagnostics of `tokenizer`, `template` and `model`. */
export async function openChat(
  source: GenerationSource,
  { modelDirectory, run }: Pick<GenerationFiles, "modelDirectory" | "run">,
  { template: named, cwd }: ChatFilesOptions,
): Promise<ChatModel> {
  const tokenizer = await loadTokenizer(modelDirectory, source.vocabulary);
  const name = named ?? trainedTemplate(run) ?? usualTemplate(tokenizer);
  const template = await findTemplate(name.endsWith(".jinja") ? resolve(cwd, name) : name, tokenizer);
  const turn = readReplyTurn(template, tokenizer, await endTokens(modelDirectory));
  return { cache: new TokenCache(source), tokenizer, template, turn };
}

/** The name of the tokenizer's own template, or of the built-in one where it has none. */
export function usualTemplate(tokenizer: TextTokenizer): string {
  return tokenizer.chatTemplate === undefined ? "lema-reply" : "tokenizer";
}

/** Null where a run's data had no conversations. */
function trainedTemplate(run: AdapterRun | null): string | null {
  if (run === null) return null;
  const { format, template } = resolvedRecipeSchema.parse(run.plan.inputs.recipe).dataset;
  return format === "chat" || format === "sharegpt" ? template : null;
}

const CODES = { missing: "model.missing-file", syntax: "model.syntax" } as const;

/** Ids that the model's files call ends of a sequence, one or several: generation_config.json decides where it is there. */
async function endTokens(directory: string): Promise<readonly number[]> {
  const generation = join(directory, "generation_config.json");
  const file = existsSync(generation) ? generation : join(directory, "config.json");
  const { eos_token_id: named } = await readJsonObject(file, CODES);
  return [named].flat().filter((id): id is number => Number.isInteger(id));
}
