/**
 * The budget ladder: the same recipe planned under one budget of the compute tier after another. Each rung is a whole
 * plan, compiled and verified; the budget of the other tier stays what the recipe (or `--what-if`) says.
 */
import { InvalidArgumentError } from "commander";
import { compile } from "../planner/compile.ts";
import { smallestMemory } from "../planner/smallest-memory.ts";
import type { Diagnostic } from "../schemas/diagnostic.ts";
import type { Inputs } from "../schemas/inputs.ts";
import type { ArenaName } from "../schemas/plan.ts";
import { parseBytes } from "../schemas/units.ts";
import { type PlanFacts, planFacts, type UnfittingFacts, unfittingFacts } from "./render/plan-facts.ts";

/** A budget in bytes, or the least that fits. */
export type LadderSize = number | "min";

export interface Ladder {
  /** The tier whose budget changes: the one that computes. */
  readonly tier: ArenaName;
  /** From the smallest budget up. */
  readonly rows: readonly (PlanFacts | UnfittingFacts)[];
}

export interface LadderOptions {
  readonly onRow?: (row: number, rows: number) => void;
  /** Gives a diagnostic of a row its place in the recipe. */
  readonly placed?: (problem: Diagnostic) => Diagnostic;
}

const GIB = 2 ** 30;
const DEFAULT_SIZES: readonly LadderSize[] = [
  "min",
  ...[1.6, 2, 3, 4, 6, 8, 12, 16].map((size) => Math.floor(size * GIB)),
];

/** `min,1.6GiB,6.36GB`; without a text the sizes that ladders usually have. */
export function ladderSizes(text: string | true): readonly LadderSize[] {
  if (text === true) return DEFAULT_SIZES;
  return text.split(",").map((part): LadderSize => {
    const size = part.trim() === "min" ? "min" : parseBytes(part);
    if (size === undefined) throw new InvalidArgumentError("Write it as min,2GiB,6.36GB.");
    return size;
  });
}

export function ladder(inputs: Inputs, sizes: readonly LadderSize[], options: LadderOptions = {}): Ladder {
  const { onRow, placed = (problem) => problem } = options;
  const tier = inputs.recipe.memory.vram === null ? "ram" : "vram";
  const budgets = sizes.map((size) => (size === "min" ? smallestMemory(inputs)[tier]!.total : size));
  const ascending = [...new Set(budgets)].sort((a, b) => a - b);
  const rows = ascending.map((budget, row) => {
    onRow?.(row, ascending.length);
    const rung = withBudget(inputs, tier, budget);
    const { plan, diagnostics } = compile(rung);
    return plan ? planFacts(plan) : unfittingFacts(smallestMemory(rung), diagnostics.map(placed));
  });
  return { tier, rows };
}

function withBudget(inputs: Inputs, tier: ArenaName, bytes: number): Inputs {
  const { recipe } = inputs;
  return { ...inputs, recipe: { ...recipe, memory: { ...recipe.memory, [tier]: bytes } } };
}
