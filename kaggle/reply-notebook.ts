/** The notebook that talks to what the training notebook has made, whose output is attached to it. */
import { archiveCell } from "./archive.ts";
import { HELPERS } from "./cells/helpers.ts";
import { NATIVE, NODE } from "./cells/install.ts";
import { MACHINE } from "./cells/machine.ts";
import { FIND, QUESTIONS, REPLY } from "./cells/reply.ts";
import { code, markdown, type Notebook, notebook, pythonValue } from "./notebook.ts";
import { type NotebookParts, recipeFile } from "./training-notebook.ts";

export function replyNotebook(parts: NotebookParts): Notebook {
  const { pull, model, modelFiles } = parts.recipeFiles;
  return notebook([
    markdown("title", TITLE(parts.lemaVersion)),
    code("helpers", HELPERS),
    code("settings", `SETTINGS = ${pythonValue({ pull, model })}`),
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
