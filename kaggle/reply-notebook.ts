/** The notebook that talks to what the training notebook has made, whose output is attached to it. */
import { alpacaPrompt } from "../data/formats/alpaca.ts";
import type { Recipe } from "../schemas/recipe.ts";
import { archiveCell } from "./archive.ts";
import { HELPERS } from "./cells/helpers.ts";
import { NATIVE, NODE } from "./cells/install.ts";
import { MACHINE } from "./cells/machine.ts";
import { FIND, QUESTIONS, REPLY } from "./cells/reply.ts";
import { code, markdown, type Notebook, notebook, pythonValue } from "./notebook.ts";
import { type NotebookParts, recipeFile } from "./training-notebook.ts";

/** Formats that a chat template makes the training text of. */
const CONVERSATIONS: ReadonlySet<Recipe["dataset"]["format"]> = new Set(["chat", "sharegpt"]);

export function replyNotebook(parts: NotebookParts): Notebook {
  const { pull, model, modelFiles } = parts.recipeFiles;
  const { format } = parts.recipe.dataset;
  // How a question stands in the training text, where no chat template says it.
  const prompt = format === "alpaca" ? alpacaPrompt("QUESTION", "") : "QUESTION";
  const chat = CONVERSATIONS.has(format);
  return notebook([
    markdown("title", TITLE(parts.lemaVersion)),
    code("helpers", HELPERS),
    code("settings", `SETTINGS = ${pythonValue({ pull, model, chat, prompt })}`),
    code("machine", MACHINE),
    code("node", NODE),
    parts.lema,
    archiveCell("recipe", "project", [recipeFile(parts.recipeText), ...modelFiles]),
    code("native", NATIVE),
    code("find", FIND),
    markdown("questions-title", "## Your questions\n\nChange them, and run the last two cells again."),
    code("questions", QUESTIONS),
    code("reply", REPLY),
  ]);
}

const TITLE = (version: string): string => `# Replies of a fine-tuned model, by lema ${version}

Reads what the training notebook has kept and is attached to this one: the merged model, else adapter and base.
`;
