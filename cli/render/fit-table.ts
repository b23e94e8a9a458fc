/**
 * Tables on a terminal that may be too narrow for them. What fits is left as it is. Of what does not, first the heads of
 * columns take several lines, then columns are left out, the least important first, and at last the words of the last
 * column go on below: in their column, or in lines of their own where that is too narrow.
 */
import { formatTable, wrap } from "./table.ts";

export interface Fit {
  /** As for `formatTable`. */
  readonly alignment: string;
  readonly indent: string;
  /** Characters of a line. */
  readonly width: number;
  /** Columns that can be left out, the first one first. */
  readonly spare: readonly number[];
}

export interface FittedTable {
  readonly head: readonly string[];
  /** The lines of each row. */
  readonly rows: readonly (readonly string[])[];
  /** Heads of the columns that are left out. */
  readonly missing: readonly string[];
}

const GAP = 2;
/** A narrower column is no place for words that do not fit into it. */
const LEAST_ROOM = 24;

export function fitTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  fit: Fit,
): FittedTable {
  const { alignment, indent, width, spare } = fit;
  if (tableWidth([head, ...rows], indent) <= width) {
    const [first = "", ...rest] = formatTable([head, ...rows], alignment, indent);
    return { head: [first], rows: rest.map((line) => [line]), missing: [] };
  }
  const heads = foldHead(head, rows);
  const only = (kept: readonly number[], table: readonly (readonly string[])[]) =>
    table.map((row) => kept.flatMap((column) => row[column] ?? []));
  const lettersOf = (kept: readonly number[]) => kept.map((column) => letterOf(alignment, column)).join("");
  let kept = head.map((_, column) => column);
  for (const column of spare) {
    if (leastWidth(only(kept, [...heads, ...rows]), lettersOf(kept), indent) <= width) break;
    kept = kept.filter((one) => one !== column);
  }
  const letters = lettersOf(kept);
  const name = head[kept.at(-1)!];
  const lines = wrapCells(only(kept, [...heads, ...rows]), { alignment: letters, indent, width }, name);
  return {
    head: lines.slice(0, heads.length).flat(),
    rows: lines.slice(heads.length),
    missing: head.filter((one, column) => one !== "" && !kept.includes(column)),
  };
}

/** Rows without a head, whose last column is of words. */
export function fitRows(
  rows: readonly (readonly string[])[],
  fit: Pick<Fit, "alignment" | "indent" | "width">,
): string[] {
  return wrapCells(rows, fit).flat();
}

/** What to say below a table that lacks columns. */
export function missingText(missing: readonly string[], indent: string, width: number): string[] {
  if (missing.length === 0) return [];
  return wrap(`this terminal is too narrow for: ${missing.join(", ")}`, width - indent.length).map(
    (line) => indent + line,
  );
}

/** Lines of each row. `name` is that of the last column; it stands where its words are not below it. */
function wrapCells(
  rows: readonly (readonly string[])[],
  { alignment, indent, width }: Pick<Fit, "alignment" | "indent" | "width">,
  name?: string,
): string[][] {
  const last = Math.max(0, ...rows.map(({ length }) => length - 1));
  if (tableWidth(rows, indent) <= width || letterOf(alignment, last) === "r") {
    return formatTable(rows, alignment, indent).map((line) => [line]);
  }
  const before = rows.map((row) => row.slice(0, last));
  const room = width - tableWidth(before, indent) - GAP;
  const below = (text: string): string[] => {
    const indented = `${indent}    `;
    const named = name === undefined ? text : text === name ? "" : `${name}: ${text}`;
    return named === "" ? [] : wrap(named, width - indented.length).map((line) => indented + line);
  };
  if (room < 0) {
    const front = wrapCells(before, { alignment, indent, width });
    return front.map((lines, index) => [...lines, ...below(rows[index]![last] ?? "")]);
  }
  const parts = rows.map((row): { inside: string[][]; behind: string[] } => {
    const text = row[last] ?? "";
    if (text.length <= room) return { inside: [[...row]], behind: [] };
    const words = wrap(text, room);
    if (room >= LEAST_ROOM && words.every(({ length }) => length <= room)) {
      const rest = words.slice(1).map((line) => [...row.slice(0, last).map(() => ""), line]);
      return { inside: [[...row.slice(0, last), words[0]!], ...rest], behind: [] };
    }
    return { inside: [row.slice(0, last)], behind: below(text) };
  });
  const lines = formatTable(
    parts.flatMap(({ inside }) => inside),
    alignment,
    indent,
  );
  return parts.map(({ inside, behind }) => [...lines.splice(0, inside.length), ...behind]);
}

/** The head in several rows: each cell no wider than it has to be, its words at the bottom. */
function foldHead(head: readonly string[], rows: readonly (readonly string[])[]): string[][] {
  const cells = head.map((text, column) => {
    const words = text.split(" ").map(({ length }) => length);
    return wrap(text, Math.max(...words, ...rows.map((row) => row[column]?.length ?? 0)));
  });
  const height = Math.max(...cells.map(({ length }) => length));
  return Array.from({ length: height }, (_, line) =>
    cells.map((own) => own[line - height + own.length] ?? ""),
  );
}

function tableWidth(rows: readonly (readonly string[])[], indent: string): number {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  }
  return indent.length + widths.reduce((sum, own) => sum + own + GAP, -GAP);
}

/** With a last column of words that is no wider than it has to be. */
function leastWidth(rows: readonly (readonly string[])[], letters: string, indent: string): number {
  const last = letters.length - 1;
  if (letters[last] === "r") return tableWidth(rows, indent);
  return tableWidth(
    rows.map((row) => [...row.slice(0, last), ...row.slice(last).map((text) => text.slice(0, LEAST_ROOM))]),
    indent,
  );
}

function letterOf(alignment: string, column: number): string {
  return alignment[Math.min(column, alignment.length - 1)]!;
}
