/** The least memory that any plan of some inputs needs, whatever the budgets say. */
import type { Inputs } from "../schemas/inputs.ts";
import type { ArenaName } from "../schemas/plan.ts";
import { buildUnits } from "./ir/units.ts";
import { arenaBudget, smallestShape, tiersOf } from "./passes/feasible.ts";
import { realize } from "./passes/realize.ts";

export interface SmallestMemory {
  readonly budget: number;
  readonly arena: number;
  readonly reserve: number;
  readonly total: number;
}

/** Bytes per tier of the smallest shape; `total` is the smallest budget that fits. */
export function smallestMemory(inputs: Inputs): Readonly<Partial<Record<ArenaName, SmallestMemory>>> {
  const units = buildUnits(inputs);
  const { arenas, shape } = realize(inputs, units, smallestShape(inputs, units));
  return Object.fromEntries(
    tiersOf(shape).map((tier) => {
      const { budget, reserve } = arenaBudget(inputs, tier);
      const { bytes } = arenas[tier];
      return [tier, { budget, arena: bytes, reserve, total: bytes + reserve }];
    }),
  );
}
