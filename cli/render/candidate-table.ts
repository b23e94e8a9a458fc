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
