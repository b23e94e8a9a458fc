/**
 * How much of a row attention computes. A position sees its segment up to itself, and kernels leave out the keys that no
 * query of a tile sees, so that rows of several segments take less than what an op of that shape does at most.
 */
import type { CommonInputs, Inputs } from "../../schemas/inputs.ts";
import type { AnyPlan, Plan } from "../../schemas/plan.ts";

/** Queries, and keys, that kernels treat together: where segments begin is rounded to that. */
const TILE = 64;

/** Of what attention computes in rows that are one segment, the part that it computes in these. */
export function attendedShare(pairs: number, rows: number, length: number): number {
  const seen = pairs / (rows * length);
  const most = (length + 1) / 2;
  // A tile computes keys before the first and behind the last that its queries see, half a tile each; where a
  // segment ends within it, those of both, half a tile more for each of its queries.
  const beside = Math.min(TILE, length) / 2;
  return Math.min(1, (seen + 2 * beside) / (most + beside));
}

/** Of these inputs; 1 where the rows are not known, and in a generation. */
export function attendedBy(inputs: CommonInputs | Inputs): number {
  return "dataset" in inputs ? shareOf(inputs.dataset, inputs.recipe.sequence.length) : 1;
}

export function attendedIn(plan: AnyPlan): number {
  return "purpose" in plan ? 1 : shareOf(plan.inputs.dataset, plan.shape.sequence_length);
}

/** Plans that were made before do not tell. */
function shareOf(dataset: Plan["inputs"]["dataset"], length: number): number {
  if (dataset?.attended_pairs === undefined || dataset.train_rows === 0) return 1;
  return attendedShare(dataset.attended_pairs, dataset.train_rows, length);
}
