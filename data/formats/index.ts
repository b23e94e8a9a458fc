/** Every dataset format by the name a recipe gives it. */
import type { DatasetRecipe } from "../../schemas/recipe.ts";
import { alpaca } from "./alpaca.ts";
import { chat } from "./chat.ts";
import type { DatasetFormat } from "./format.ts";
import { promptCompletion } from "./prompt-completion.ts";
import { sharegpt } from "./sharegpt.ts";
import { text } from "./text.ts";
import { tokens } from "./tokens.ts";

export type FormatName = DatasetRecipe["format"];

export const formats: Readonly<Record<FormatName, DatasetFormat>> = {
  chat,
  sharegpt,
  alpaca,
  "prompt-completion": promptCompletion,
  text,
  tokens,
};
