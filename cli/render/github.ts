/**
 * Diagnostics as GitHub workflow commands, which the runner turns into annotations.
 *
 * GitHub keeps at most 10 errors and 10 warnings of a step and drops the rest without a word; the tenth therefore
 * says how many more there are. Escapes as in actions/toolkit: `%`, CR and LF everywhere, `:` and `,` in properties.
 */
import type { Diagnostic } from "../../schemas/diagnostic.ts";
import { isOverride } from "../../schemas/recipe.ts";
import { checkoutPath } from "./checkout-path.ts";

const ANNOTATIONS_MAX = 10;

export function renderGithub(diagnostics: readonly Diagnostic[]): string {
  return (["error", "warning"] as const)
    .flatMap((severity) => {
      const all = diagnostics.filter((diagnostic) => diagnostic.severity === severity);
      if (all.length <= ANNOTATIONS_MAX) return all.map(annotation);
      const shown = all.slice(0, ANNOTATIONS_MAX - 1);
      return [
        ...shown.map(annotation),
        `::${severity}::and ${all.length - shown.length} more of lema's ${severity}s`,
      ];
    })
    .map((line) => `${line}\n`)
    .join("");
}

function annotation({ code, severity, summary, detail, where, hint }: Diagnostic): string {
  const file = where === undefined || isOverride(where.file) ? undefined : checkoutPath(where.file);
  const properties = Object.entries({
    file,
    line: where?.line,
    col: where?.column,
    title: code,
  })
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${escapeProperty(String(value))}`)
    .join(",");
  const message = [summary, file === undefined ? where?.file : undefined, detail, hint && `hint: ${hint}`]
    .filter(Boolean)
    .join("\n");
  return `::${severity} ${properties}::${escapeData(message)}`;
}

function escapeData(text: string): string {
  return text.replace(/%/g, "%25").replace(/\r/g, "%0D").replace(/\n/g, "%0A");
}

function escapeProperty(text: string): string {
  return escapeData(text).replace(/:/g, "%3A").replace(/,/g, "%2C");
}
