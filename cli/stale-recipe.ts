/**
 * A recipe that was edited after it was planned: its plan would train something else than the file says. A plan that
 * has travelled to where its recipe is not stands for itself.
 */
import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { type Diagnostic, diagnostic } from "../schemas/diagnostic.ts";
import type { Plan } from "../schemas/plan.ts";
import { parseRecipe } from "../schemas/recipe.ts";
import { compareValues } from "./diff/compare-values.ts";

/** One `plan.stale` for each key whose value is another one by now; `cwd` only shortens names. */
export function checkRecipe({ meta, inputs }: Plan, cwd: string): Diagnostic[] {
  const { recipe: origin } = meta;
  const text = origin == null ? undefined : textOf(origin.file);
  if (origin == null || text === undefined) return [];
  const file = relative(cwd, origin.file);
  const hint = `plan again: \`lema plan ${file}\``;
  const { recipe, placeOf } = parseRecipe(text, { file, overrides: origin.overrides });
  if (recipe === undefined) {
    const summary = "the recipe was changed since the plan was made, and is no recipe any more";
    return [
      diagnostic("plan.stale", { summary, where: { file }, hint: `\`lema validate ${file}\` says why` }),
    ];
  }
  return compareValues(inputs.recipe, JSON.parse(JSON.stringify(recipe))).map(({ path, before, after }) =>
    diagnostic("plan.stale", {
      summary: `\`${path}\` of the recipe is not what it was when the plan was made`,
      detail: `expected ${JSON.stringify(before) ?? "nothing"}\nactual   ${JSON.stringify(after) ?? "nothing"}`,
      where: placeOf(path),
      hint,
    }),
  );
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
