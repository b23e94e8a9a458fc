/** The least memory that any plan of some inputs needs. */
import type { Inputs } from "../schemas/inputs.ts";
import type { ArenaName } from "../schemas/plan.ts";
import { buildVariants } from "./ir/variants.ts";
import { arenaBudget, smallestFor, tiersOf } from "./passes/feasible.ts";
import { realize } from "./passes/realize.ts";
import { floors } from "./shape/floors.ts";

export interface SmallestMemory {
  readonly budget: number;
  readonly arena: number;
  readonly reserve: number;
  readonly total: number;
}

/** Bytes of each tier that suffice beside the budget of the other; `total` is the smallest budget that fits. */
export function smallestMemory(inputs: Inputs): Readonly<Partial<Record<ArenaName, SmallestMemory>>> {
  const all = floors(buildVariants(inputs)).map(({ variant, shape }) => realize(variant, shape));
  const limit = (tier: ArenaName) => arenaBudget(inputs, tier).arena;
  return Object.fromEntries(
    tiersOf(all[0]!.shape).map((tier) => {
      const { budget, reserve } = arenaBudget(inputs, tier);
      const { bytes } = smallestFor(all, tier, limit).arenas[tier];
      return [tier, { budget, arena: bytes, reserve, total: bytes + reserve }];
    }),
  );
}
