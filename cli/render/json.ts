/** Diagnostics for programs: one JSON object with the list, and the number of each severity. */
import type { Diagnostic } from "../../schemas/diagnostic.ts";

export function renderJson(diagnostics: readonly Diagnostic[]): string {
  const count = (severity: Diagnostic["severity"]) =>
    diagnostics.filter((d) => d.severity === severity).length;
  return `${JSON.stringify({ errors: count("error"), warnings: count("warning"), diagnostics }, null, 2)}\n`;
}
