/** The one way in which this folder reports a file that it cannot take. */
import { type DiagnosticCode, DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";

/** Throws the diagnostic `code` about a file. */
export function refuse(code: DiagnosticCode, file: string, what: string, hint?: string): never {
  const text = { summary: `${file}: ${what}`, where: { file } };
  throw new DiagnosticError(diagnostic(code, hint === undefined ? text : { ...text, hint }));
}
