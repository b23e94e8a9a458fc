/** Aligned columns of plain text. Widths are counted in characters, so cells hold no colour. */
import { stripVTControlCharacters } from "node:util";

/** One letter a column: `l` aligns left, `r` right; the last letter holds for all further columns. */
export function formatTable(rows: readonly (readonly string[])[], alignment: string, indent = ""): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  }
  return rows.map((row) => {
    const cells = row.map((cell, column) => {
      const right = alignment[Math.min(column, alignment.length - 1)] === "r";
      return right ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!);
    });
    return `${indent}${cells.join("  ")}`.trimEnd();
  });
}

/** `██████░░░░`: how much of a whole; never empty or full unless it is. */
export function formatBar(part: number, whole: number, width: number): string {
  const share = whole > 0 ? part / whole : 0;
  const rounded = Math.round(share * width);
  const least = share > 0 ? 1 : 0;
  const most = share < 1 ? width - 1 : width;
  const filled = Math.max(least, Math.min(most, rounded));
  return "█".repeat(filled) + "░".repeat(width - filled);
}

/** `12,345`; the same in every locale. */
export function formatCount(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** `3.4 %` of a share; whole percents in between, and never 0 or 100 unless it is. */
export function formatShare(share: number): string {
  const percent = 100 * share;
  if (percent === 0 || percent >= 100) return `${percent.toFixed(0)} %`;
  if (percent > 99) return `${Math.min(99.9, percent).toFixed(1)} %`;
  return `${percent < 10 ? Math.max(0.1, percent).toFixed(1) : percent.toFixed(0)} %`;
}

/**
 * Breaks text at spaces into lines of at most `width` characters; a longer word keeps a line of its own, and a number its
 * unit.
 */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(BREAK)) {
    if (line !== "" && shownLength(line) + 1 + shownLength(word) > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

/** A line that is too long goes on below its text: behind the spaces it begins with, and a first cell of a table. */
export function wrapLine(line: string, width: number): string[] {
  if (shownLength(line) <= width) return [line];
  const [label = ""] = /^ *(?:\S+(?: \S+)* {2,})?/.exec(line) ?? [];
  const start = shownLength(label) > width / 2 ? /^ */.exec(line)![0] : label;
  const indent = " ".repeat(shownLength(start));
  const [first = "", ...rest] = wrap(line.slice(start.length), width - indent.length);
  return [start + first, ...rest.map((more) => indent + more)];
}

/** A space, but for that of `1.00 GiB`, `15.48 s` and `12 %`. */
const BREAK = / (?!(?<=\d )(?:[KMGT]iB|B|[mµn]?s|%)(?![A-Za-z]))/;

/** Characters that a terminal shows: colours are none. */
export function shownLength(text: string): number {
  return stripVTControlCharacters(text).length;
}
