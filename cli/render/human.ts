/**
 * Diagnostics for people: one paragraph each, with a code frame where the source is at hand.
 *
 *     error: unknown key `lora_r` [recipe.unknown-key]
 *       ┌ recipe.yaml:7:3
 *     7 │   lora_r: 16
 *       │   ^^^^^^
 *       hint: it is `adapter.rank` here
 */
import { type Diagnostic, diagnosticCodes, type Place } from "../../schemas/diagnostic.ts";
import { wrap, wrapLine } from "./table.ts";

/** The text of a file named in a diagnostic, if there is one. */
export type ReadSource = (file: string) => string | undefined;

export interface HumanOptions {
  readonly color: boolean;
  /** Characters of a line; Infinity where nothing is wrapped. */
  readonly width: number;
  readonly readSource: ReadSource;
}

const KIND_WORDS = { user: "", environment: " (environment)", bug: " (bug in lema)" } as const;
const FRAME_WIDTH = 120;

export function renderHuman(diagnostics: readonly Diagnostic[], options: HumanOptions): string {
  return diagnostics.map((diagnostic) => `${renderOne(diagnostic, options)}\n`).join("\n");
}

/** `2 errors, 1 warning`; empty when there is nothing to count. */
export function countDiagnostics(diagnostics: readonly Diagnostic[]): string {
  return (["error", "warning"] as const)
    .map((severity) => ({ severity, count: diagnostics.filter((d) => d.severity === severity).length }))
    .filter(({ count }) => count > 0)
    .map(({ severity, count }) => `${count} ${severity}${count === 1 ? "" : "s"}`)
    .join(", ");
}

function renderOne(diagnostic: Diagnostic, { color, width, readSource }: HumanOptions): string {
  const paint = painter(color);
  const { code, severity, summary, detail, where, hint } = diagnostic;
  const hue = severity === "error" ? paint.red : paint.yellow;
  const kind = KIND_WORDS[diagnosticCodes[code].kind];
  const title = `${hue(severity)}${kind}: ${paint.bold(printable(summary))} ${paint.dim(`[${code}]`)}`;
  const lines = title.split("\n").flatMap((line) => wrap(line, width));
  if (where !== undefined) lines.push(...frame(where, readSource(where.file), paint, width));
  if (detail !== undefined) lines.push(...indent(printable(detail), width));
  if (hint !== undefined) lines.push(...indent(`${paint.green("hint")}: ${printable(hint)}`, width));
  return lines.join("\n");
}

function frame(where: Place, source: string | undefined, paint: Painter, width: number): string[] {
  const { file, line, column } = where;
  const at = [file, line, column].filter((part) => part !== undefined).join(":");
  const text = line === undefined ? undefined : source?.split(/\r\n|\n|\r/)[line - 1];
  if (line === undefined || column === undefined || text === undefined) {
    const path = line === undefined && where.path !== undefined ? ` (${where.path})` : "";
    return wrapLine(`  ${paint.dim("at")} ${printable(at)}${path}`, width);
  }
  const gutter = " ".repeat(String(line).length);
  // A window of the line, so that minified or endless lines stay on the screen.
  const window = Math.min(FRAME_WIDTH, width - gutter.length - 4);
  const start = Math.max(0, Math.min(column - 1 - Math.floor(window / 2), text.length - window));
  const shown = text.slice(start, start + window);
  const caretAt = column - 1 - start;
  const carets = Math.max(1, tokenLength(shown, caretAt));
  return [
    `${gutter} ${paint.dim("┌")} ${printable(at)}`,
    `${line} ${paint.dim("│")} ${printable(shown)}`,
    `${gutter} ${paint.dim("│")} ${" ".repeat(caretAt)}${paint.red("^".repeat(carets))}`,
  ];
}

/** Length of the quoted text, flow collection or word that starts at `from`. */
function tokenLength(text: string, from: number): number {
  const rest = text.slice(from);
  return (/^(?:"[^"]*"|'[^']*'|[^\s:,{}[\]#][^:,{}[\]#]*(?<!\s)|\[[^\]]*\]|\{[^}]*\})/.exec(rest)?.[0] ?? "")
    .length;
}

/** Control characters would let a file write to the terminal; each becomes one visible character. */
export function printable(text: string): string {
  return text.replaceAll("\t", " ").replace(/(?!\n)[\p{Cc}\p{Bidi_Control}]/gu, "�");
}

/** What a model says, as a terminal may be given it: nothing that moves, hides or sets anything. */
export function spoken(text: string): string {
  return text.replaceAll("\r", "").replace(/(?![\n\t])\p{Cc}/gu, "�");
}

function indent(text: string, width: number): string[] {
  return text.split("\n").flatMap((line) => wrapLine(`  ${line}`, width));
}

type Paint = (text: string) => string;
export type Painter = Readonly<Record<"red" | "yellow" | "green" | "bold" | "dim", Paint>>;

export function painter(color: boolean): Painter {
  const style = (on: number, off: number): Paint =>
    color ? (text) => `\u001b[${on}m${text}\u001b[${off}m` : (text) => text;
  return {
    red: style(31, 39),
    yellow: style(33, 39),
    green: style(32, 39),
    bold: style(1, 22),
    dim: style(2, 22),
  };
}
