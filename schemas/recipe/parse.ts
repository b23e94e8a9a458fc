/** Recipe text → {@link Recipe}, or everything that is wrong with it at once. Does no I/O. */
import { checkDocument } from "../check-document.ts";
import { type Diagnostic, exitCodeOf, type Place } from "../diagnostic.ts";
import { type DocumentCodes, locate, readYaml, textAt } from "../yaml-source.ts";
import { recipeSchema } from "./document.ts";
import { foreignNames } from "./foreign-names.ts";
import { applyOverrides } from "./overrides.ts";
import { resolveRecipe } from "./resolve.ts";
import type { Recipe } from "./resolved.ts";

const CODES: DocumentCodes = {
  syntax: "recipe.syntax",
  duplicateKey: "recipe.duplicate-key",
  unknownKey: "recipe.unknown-key",
  missingKey: "recipe.missing-key",
  invalidValue: "recipe.invalid-value",
};

export interface ParsedRecipe {
  /** Present exactly when no diagnostic is an error. */
  readonly recipe?: Recipe;
  /** The machine that a recipe with errors names all the same, so that all problems can be said at once. */
  readonly hardware?: string | undefined;
  readonly diagnostics: readonly Diagnostic[];
  /** Where a key path such as `memory.vram` stands in the text (or in an override), for later complaints about it. */
  readonly placeOf: (path: string) => Place;
}

export interface ParseOptions {
  /** The recipe's name in diagnostics; it is not opened. */
  readonly file: string;
  /** `key=value` assignments, as `--set` takes them. */
  readonly overrides?: readonly string[];
}

export function parseRecipe(text: string, { file, overrides = [] }: ParseOptions): ParsedRecipe {
  const { source, diagnostics } = readYaml(text, file, CODES);
  const placeOf = (path: string) => locate(source, path.split("."), "value");
  // After a syntax error the tree is a guess; a duplicate key leaves it whole.
  if (diagnostics.some(({ code }) => code === CODES.syntax)) return { diagnostics, placeOf };
  const all = [...diagnostics, ...applyOverrides(source, overrides)];
  const checked = checkDocument(recipeSchema, source, CODES, foreignNames);
  all.push(...checked.diagnostics);
  if (checked.value === undefined || exitCodeOf(all) !== 0) {
    const wrong = all.some(({ where }) => where?.path === "hardware");
    return { ...(!wrong && { hardware: textAt(source, "hardware") }), diagnostics: inOrder(all), placeOf };
  }
  return { recipe: resolveRecipe(checked.value), diagnostics: inOrder(all), placeOf };
}

/** Top to bottom, as one reads the file. */
function inOrder(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const position = ({ where }: Diagnostic): [number, number] => [where?.line ?? 0, where?.column ?? 0];
  return diagnostics.toSorted((a, b) => {
    const [[lineA, columnA], [lineB, columnB]] = [position(a), position(b)];
    return lineA - lineB || columnA - columnB;
  });
}
