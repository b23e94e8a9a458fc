/**
 * The shapes that a plan was chosen from, as columns of text: what differs, time (with `~` by the closed form alone) and
 * traffic.
 */
import type { AnyPlan } from "../../schemas/plan.ts";
import { formatBytes, formatNanoseconds } from "../../schemas/units.ts";

export interface CandidateTable {
  readonly columns: readonly string[];
  /** The chosen shape first. */
  readonly rows: readonly (readonly string[])[];
}

export function candidateTable({ decisions, candidates }: AnyPlan): CandidateTable {
  const differing = decisions
    .map(({ name, chosen }, index) => ({ name, chosen, index }))
    .filter(({ chosen, index }) => candidates.some(({ values }) => values[index] !== chosen));
  return {
    columns: [...differing.map(({ name }) => name), "a step", "moved"],
    rows: candidates.map(({ values, estimate_ns, simulated_ns, moved }) => [
      ...differing.map(({ index }) => values[index]!),
      simulated_ns === null ? `~${formatNanoseconds(estimate_ns)}` : formatNanoseconds(simulated_ns),
      formatBytes(moved),
    ]),
  };
}

/**
 * The same for where there is no room for the columns: time, traffic, and in words what is other than in the first row;
 * each of these is one word to what breaks lines, by its no-break spaces.
 */
export function changesOf({ columns, rows: [chosen = [], ...others] }: CandidateTable): string[][] {
  const figures = (row: readonly string[]): string[] => row.slice(-FIGURES);
  const changes = others.map((row) => {
    const words = row
      .slice(0, -FIGURES)
      .flatMap((value, column) =>
        value === chosen[column] ? [] : [`${columns[column]} ${value}`.replaceAll(" ", NO_BREAK)],
      );
    return [...figures(row), words.join(", ")];
  });
  return [[...figures(chosen), "chosen"], ...changes];
}

export const NO_BREAK = "\u00a0";

/** Columns that are no respect of a shape: time and traffic. */
const FIGURES = 2;
