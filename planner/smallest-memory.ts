/** The least memory that any plan of some inputs needs. */
import type { GenerationInputs, Inputs } from "../schemas/inputs.ts";
import type { ArenaName } from "../schemas/plan.ts";

import type { Variant } from "./ir/variants.ts";
import { arenaBudget, smallestFor, tiersOf } from "./passes/feasible.ts";
import { realizeWork } from "./passes/realize.ts";
import { floors } from "./shape/floors.ts";
import { buildGenerationVariants } from "./shape/generation-variant.ts";
import { buildVariants } from "./shape/training-variant.ts";

export interface SmallestMemory {
  readonly budget: number;
  readonly arena: number;
  readonly reserve: number;
  readonly total: number;
}

type SmallestMemories = Readonly<Partial<Record<ArenaName, SmallestMemory>>>;

/**
 * Bytes of each tier that suffice beside the budget of the other, or beside what the other has to have at least; `total`
 * is the smallest budget that fits.
 */
export function smallestMemory(inputs: Inputs): SmallestMemories {
  return smallestOf(buildVariants(inputs));
}

/** The same for a generation. */
export function smallestGenerationMemory(inputs: GenerationInputs): SmallestMemories {
  return smallestOf(buildGenerationVariants(inputs));
}

function smallestOf(variants: readonly Variant[]): SmallestMemories {
  const all = floors(variants).map(({ variant, shape }) => realizeWork(variant, shape));
  const { inputs } = variants[0]!;
  const limit = (tier: ArenaName) => arenaBudget(inputs, tier).arena;
  return Object.fromEntries(
    tiersOf(all[0]!.shape).map((tier) => {
      const { budget, reserve } = arenaBudget(inputs, tier);
      const { bytes } = smallestFor(all, tier, limit).arenas[tier];
      return [tier, { budget, arena: bytes, reserve, total: bytes + reserve }];
    }),
  );
}
