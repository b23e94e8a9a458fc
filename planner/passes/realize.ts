/**
 * From a shape to addresses: what every candidate of choose-shape and every feasibility question goes through, so that
 * memory is never estimated, only measured.
 */
import type { Inputs } from "../../schemas/inputs.ts";
import { tensorBytes } from "../../schemas/ops/define-op.ts";
import type { EffectContext } from "../ir/effects.ts";
import type { Expanded, LaidOut, Shape } from "../ir/schedule.ts";
import { tensorByName, type Units } from "../ir/units.ts";
import { expandStep } from "./expand-step.ts";
import { layout } from "./layout.ts";
import { prefetch } from "./prefetch.ts";
import { residency } from "./residency.ts";
import { roll } from "./roll.ts";

export function realize(inputs: Inputs, units: Units, shape: Shape): LaidOut {
  return layout(roll(prefetch(residency(expandStep(inputs, units, shape), units)), units));
}

/** What `accessesOf` needs to know about a plan in the making. */
export function effectContext(inputs: Inputs, expanded: Expanded): EffectContext {
  return {
    procedures: new Map(expanded.procedures.map((procedure) => [procedure.id, procedure])),
    known: new Map(),
    stagingBytes: expanded.values.find(({ id }) => id === "staging")!.bytes,
    gatherBytes: ({ tensor, indices }) => {
      const { storage } = tensorByName(inputs, tensor);
      return tensorBytes([indices.bytes / 4, inputs.model.hidden], storage);
    },
  };
}
