/** `--set key=value`: changes to a recipe before it is validated, so that they meet the same checks as the file. */
import { isMap, isScalar, parseDocument } from "yaml";
import { type Diagnostic, diagnostic } from "../diagnostic.ts";
import type { YamlSource } from "../yaml-source.ts";

const ORIGIN = "--set ";

/** Whether a diagnostic's `file` is an assignment and no file. */
export function isOverride(file: string): boolean {
  return file.startsWith(ORIGIN);
}

/**
 * Applies `key.path=value` assignments to the document in place; the value is YAML, and an empty one removes the key.
 * Later problems with such a value name the assignment as their place.
 */
export function applyOverrides(source: YamlSource, assignments: readonly string[]): Diagnostic[] {
  return assignments.flatMap((assignment) => applyOverride(source, assignment));
}

function applyOverride(source: YamlSource, assignment: string): Diagnostic[] {
  const origin = `${ORIGIN}${assignment}`;
  const bad = (summary: string, hint: string) => [
    diagnostic("recipe.bad-override", { summary, where: { file: origin }, hint }),
  ];
  const split = assignment.indexOf("=");
  const name = assignment.slice(0, split).trim();
  const path = name.split(".");
  if (split < 0 || path.some((step) => step === "")) {
    return bad(`\`${assignment}\` is no assignment`, "write `--set memory.ram=6GiB`");
  }
  const value = parseDocument(assignment.slice(split + 1), {
    version: "1.2",
    schema: "core",
    prettyErrors: false,
  });
  if (value.errors.length > 0) {
    return bad(
      `the value of \`${name}\` is no YAML: ${value.errors[0]!.message}`,
      "quote it: `--set 'key=\"text\"'`",
    );
  }
  const { document } = source;
  for (let length = 0; length < path.length; length++) {
    const parent = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    const vacant = parent === undefined || parent === null || (isScalar(parent) && parent.value === null);
    if (!vacant && !isMap(parent)) {
      const at = path.slice(0, length).join(".") || "the recipe";
      return bad(
        `\`${name}\` cannot be set: \`${at}\` is no section`,
        `set \`${at}\` as a whole: \`--set '${at}={…}'\``,
      );
    }
    if (vacant && length > 0) document.setIn(path.slice(0, length), document.createNode({}));
  }
  if (value.contents === null || (isScalar(value.contents) && value.contents.value === null)) {
    document.deleteIn(path);
  } else {
    document.setIn(path, value.contents);
  }
  source.overrides.set(name, origin);
  return [];
}
