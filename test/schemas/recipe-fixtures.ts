/** Recipe texts for tests: the smallest valid one, and helpers to read diagnostics briefly. */
import type { Diagnostic } from "../../schemas/diagnostic.ts";
import { type ParsedRecipe, parseRecipe, type Recipe } from "../../schemas/recipe.ts";

export const MINIMAL = `lema: 1
model: ./model
dataset: {path: data.jsonl, format: chat}
memory: {ram: 1 GiB}
output: runs/a
`;

/** Parses {@link MINIMAL} with assignments on top. */
export function parseWith(...overrides: string[]): ParsedRecipe {
  return parseRecipe(MINIMAL, { file: "recipe.yaml", overrides });
}

/** The recipe of {@link parseWith}; fails with its problems when there is none. */
export function recipeWith(...overrides: string[]): Recipe {
  const { recipe, diagnostics } = parseWith(...overrides);
  if (recipe === undefined) throw new Error(brief(diagnostics).join("\n"));
  return recipe;
}

/** `line:column code path` of each diagnostic. */
export function brief(diagnostics: readonly Diagnostic[]): string[] {
  return diagnostics.map(({ code, where }) =>
    [where?.line === undefined ? (where?.file ?? "-") : `${where.line}:${where.column}`, code, where?.path]
      .filter(Boolean)
      .join(" "),
  );
}
