/** The notebook that trains a recipe. */
import type { Recipe } from "../schemas/recipe.ts";
import { archiveCell, type EmbeddedFile } from "./archive.ts";
import { HELPERS } from "./cells/helpers.ts";
import { NATIVE, NODE } from "./cells/install.ts";
import { MACHINE } from "./cells/machine.ts";
import { CHOOSE, DATA, EVALUATE, EXECUTE, MERGE, SUMMARY } from "./cells/train.ts";
import { addressOf, type NotebookIdentity } from "./metadata.ts";
import { type Cell, code, markdown, type Notebook, notebook, pythonValue } from "./notebook.ts";
import type { RecipeFiles } from "./recipe-files.ts";

export interface NotebookParts {
  readonly lemaVersion: string;
  /** The cell that unpacks lema itself, of {@link lemaCell}. */
  readonly lema: Cell;
  readonly recipe: Recipe;
  /** As its author wrote it. */
  readonly recipeText: string;
  readonly recipeFiles: RecipeFiles;
}

/** One of the sessions that a training may take. */
export interface TrainingSession {
  readonly notebook: NotebookIdentity;
  /** Whether it goes on with the run of an attached notebook. */
  readonly continues: boolean;
  /** After so many, counted from the first cell, the training is stopped with a checkpoint. */
  readonly hours: number;
}

/** Made once for several notebooks: its compression takes seconds. */
export const lemaCell = (files: readonly EmbeddedFile[]): Cell => archiveCell("lema", "lema", files);

export function trainingNotebook(
  parts: NotebookParts,
  { notebook: identity, continues, hours }: TrainingSession,
): Notebook {
  const { lemaVersion, recipe, recipeText, recipeFiles } = parts;
  const { overrides, pull, builder, heldOut, model } = recipeFiles;
  const { ram, vram } = recipe.memory;
  const files = { overrides, pull, builder, heldOut, model };
  const machine = { ram, vram, hardware: recipe.hardware };
  const settings = { ...files, ...machine, continues, hours, address: addressOf(identity) };
  return notebook([
    markdown("title", TITLE(lemaVersion, recipeText)),
    code("helpers", HELPERS),
    code("settings", `SETTINGS = ${pythonValue(settings)}`),
    markdown("machine-title", "## The machine"),
    code("machine", MACHINE),
    code("node", NODE),
    markdown("files-title", "## lema, recipe, data"),
    parts.lema,
    archiveCell("recipe", "project", [
      recipeFile(recipeText),
      ...recipeFiles.files,
      ...recipeFiles.modelFiles,
    ]),
    code("native", NATIVE),
    markdown("train-title", "## Data, model, plan"),
    code("data", DATA),
    code("plan", CHOOSE),
    markdown("run-title", "## Training"),
    code("execute", EXECUTE),
    markdown("result-title", "## What it learned"),
    code("evaluate", EVALUATE),
    code("merge", MERGE),
    code("summary", SUMMARY),
  ]);
}

export function recipeFile(text: string): EmbeddedFile {
  return { path: "recipe.yaml", content: new TextEncoder().encode(text) };
}

const TITLE = (
  version: string,
  recipe: string,
): string => `# A LoRA fine-tune, compiled and executed by lema ${version}

Everything stands in this notebook: lema with its native sources, the recipe, the data or how to build it. It
looks at the machine, plans for what it finds, trains, evaluates and merges. What is kept lies in \`run\` and \`merged\`.

\`\`\`yaml
${recipe.trimEnd()}
\`\`\`
`;
