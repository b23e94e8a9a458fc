/** The simulated time of a shape's train step, through the passes that come after its layout. */
import { costModel } from "../cost/duration.ts";
import type { LaidOut } from "../ir/schedule.ts";
import type { Variant } from "../ir/variants.ts";
import { emit } from "../passes/emit.ts";
import { effectContext } from "../passes/realize.ts";
import { sync } from "../passes/sync.ts";
import { simulate } from "../simulate/simulate.ts";

/** Nanoseconds. */
export function simulateCandidate({ inputs }: Variant, laidOut: LaidOut): number {
  const context = effectContext(inputs, laidOut);
  const { steady } = emit(inputs, sync(laidOut, context), context)["train-step"];
  return simulate(steady, costModel(laidOut.procedures, inputs.hardware).instruction).duration;
}
