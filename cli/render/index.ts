/** One entry to every way of printing diagnostics. */
import type { Diagnostic } from "../../schemas/diagnostic.ts";
import { renderGithub } from "./github.ts";
import { type HumanOptions, renderHuman } from "./human.ts";
import { renderJson } from "./json.ts";
import { renderSarif } from "./sarif.ts";

export const DIAGNOSTIC_FORMATS = ["human", "json", "sarif", "github"] as const;
export type DiagnosticFormat = (typeof DIAGNOSTIC_FORMATS)[number];

export interface RenderOptions extends HumanOptions {
  /** lema's own version, which SARIF records. */
  readonly version: string;
}

const RENDERERS: Readonly<
  Record<DiagnosticFormat, (diagnostics: readonly Diagnostic[], options: RenderOptions) => string>
> = {
  human: renderHuman,
  json: renderJson,
  sarif: (diagnostics, { version }) => renderSarif(diagnostics, version),
  github: renderGithub,
};

export function renderDiagnostics(
  diagnostics: readonly Diagnostic[],
  format: DiagnosticFormat,
  options: RenderOptions,
): string {
  return RENDERERS[format](diagnostics, options);
}
