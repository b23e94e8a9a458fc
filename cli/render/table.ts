/** Aligned columns of plain text. Widths are counted in characters, so cells hold no colour. */

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

/** Breaks text at spaces into lines of at most `width` characters; a longer word keeps a line of its own. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
