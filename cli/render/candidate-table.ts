/**
 * The shapes that a plan was chosen from: what differs, time (with `~` by the closed form alone), traffic, and why each
 * was chosen or was not.
 */
import type { AnyPlan } from "../../schemas/plan.ts";
import { formatBytes, formatNanoseconds } from "../../schemas/units.ts";
import { fitRows } from "./fit-table.ts";
import type { Painter } from "./human.ts";
import { formatTable, wrap } from "./table.ts";

export interface CandidateTable {
  /** Names of the respects in which shapes differ, then of two figures and a reason. */
  readonly columns: readonly string[];
  /** The chosen shape first. */
  readonly rows: readonly (readonly string[])[];
}

export function candidateTable({ decisions, candidates }: AnyPlan): CandidateTable {
  const differing = decisions
    .map(({ name, chosen }, index) => ({ name, chosen, index }))
    .filter(({ chosen, index }) => candidates.some(({ values }) => values[index] !== chosen));
  return {
    columns: [...differing.map(({ name }) => name), "a step", "moved", "why"],
    rows: candidates.map(({ values, estimate_ns, simulated_ns, moved, reason }) => [
      ...differing.map(({ index }) => values[index]!),
      simulated_ns === null ? `~${formatNanoseconds(estimate_ns)}` : formatNanoseconds(simulated_ns),
      formatBytes(moved),
      reason,
    ]),
  };
}

/** Two figures and a reason. */
const BESIDE_VALUES = 3;
const INDENT = "  ";

/**
 * In lines of at most `width` characters: a table; where the reasons have no room in it, one with each below its row;
 * where the values have none, a list of what is other than in the chosen shape.
 */
export function candidateLines(table: CandidateTable, width: number, paint: Painter): string[] {
  const { columns, rows } = table;
  const alignment = `${"l".repeat(columns.length - BESIDE_VALUES)}rrl`;
  const whole = formatTable([columns, ...rows], alignment, INDENT);
  if (fits(whole, width)) return whole;
  const [head = "", ...shapes] = formatTable(
    [columns, ...rows].map((row) => row.slice(0, -1)),
    alignment,
    INDENT,
  );
  const reasons = rows.map((row) => row.at(-1)!);
  if (!fits([head, ...shapes], width)) return changesInWords(table, width);
  const below = `${INDENT}    `;
  return [
    head,
    ...shapes.flatMap((line, index) => [
      line,
      ...wrap(reasons[index]!, width - below.length).map((more) => below + paint.dim(more)),
    ]),
  ];
}

function fits(lines: readonly string[], width: number): boolean {
  return lines.every(({ length }) => length <= width);
}

/** A row a shape of time, traffic and, below each other, what is other than in the first row, and why. */
function changesInWords({ columns, rows }: CandidateTable, width: number): string[] {
  const first = rows[0] ?? [];
  const cells = rows.flatMap((row) => {
    const [step = "", moved = "", why = ""] = row.slice(-BESIDE_VALUES);
    const changes = row
      .slice(0, -BESIDE_VALUES)
      .flatMap((value, column) => (value === first[column] ? [] : [oneWord(`${columns[column]} ${value}`)]));
    if (changes.length === 0) return [[step, moved, why]];
    return [
      [step, moved, changes.join(", ")],
      ["", "", why],
    ];
  });
  const lines = fitRows([["a step", "moved", "is other in, and why"], ...cells], {
    alignment: "rrl",
    indent: INDENT,
    width,
  });
  return lines.map((line) => line.replaceAll(NO_BREAK, " "));
}

const NO_BREAK = "\u00a0";

/** What no line is broken in. */
function oneWord(text: string): string {
  return text.replaceAll(" ", NO_BREAK);
}
