/**
 * From a shape to its schedule and its addresses: what every candidate of choose-shape and every feasibility question
 * goes through, so that memory is never estimated, only measured.
 */
import { tensorBytes } from "../../schemas/ops/define-op.ts";
import type { ArenaName } from "../../schemas/plan.ts";
import type { EffectContext } from "../ir/effects.ts";
import type { Expanded, LaidOut, Rolled, Shape } from "../ir/schedule.ts";
import { tensorByName } from "../ir/units.ts";
import type { Variant } from "../ir/variants.ts";
import { fullest, layout } from "./layout.ts";
import { prefetch } from "./prefetch.ts";
import { residency } from "./residency.ts";
import { roll } from "./roll.ts";

export function realize(variant: Variant, shape: Shape): LaidOut {
  return layout(scheduled(variant, variant.expand(shape)));
}

/** The same of what decides between shapes: the programs of the work. */
export function realizeWork(variant: Variant, shape: Shape): LaidOut {
  return layout(scheduled(variant, variant.expandWork(shape)));
}

/** A shape's schedule without addresses, and the bytes of each arena at its fullest moment. */
export interface Measured {
  readonly rolled: Rolled;
  readonly bytes: Readonly<Record<ArenaName, number>>;
}

/** What most candidates need to be weighed: quicker than their layout, and equal to it where no fragment is wasted. */
export function measure(variant: Variant, shape: Shape): Measured {
  const rolled = scheduleWork(variant, shape);
  return { rolled, bytes: fullest(rolled) };
}

/** The schedule of the work alone. */
export function scheduleWork(variant: Variant, shape: Shape): Rolled {
  return scheduled(variant, variant.expandWork(shape));
}

function scheduled({ units }: Variant, expanded: Expanded): Rolled {
  return roll(prefetch(residency(expanded, units), units), units);
}

/** What `accessesOf` needs to know about a plan in the making. */
export function effectContext({ inputs, footprints }: Variant, expanded: Expanded): EffectContext {
  return {
    procedures: new Map(expanded.procedures.map((procedure) => [procedure.id, procedure])),
    known: footprints,
    stagingBytes: expanded.values.find(({ id }) => id === "staging")!.bytes,
    gatherBytes: ({ tensor, indices }) => {
      const { storage } = tensorByName(inputs, tensor);
      return tensorBytes([indices.bytes / 4, inputs.model.hidden], storage);
    },
  };
}
