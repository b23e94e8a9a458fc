/** The simulated time of the step that a plan of some shape repeats, through the passes that come after its layout. */
import { costModel } from "../cost/duration.ts";
import type { LaidOut, TaskParts } from "../ir/schedule.ts";
import type { Variant } from "../ir/variants.ts";
import { emitForTiming } from "../passes/emit.ts";
import { effectContext } from "../passes/realize.ts";
import { sync } from "../passes/sync.ts";
import { simulate } from "../simulate/simulate.ts";

/** Nanoseconds. */
export function simulateCandidate({ inputs }: Variant, laidOut: LaidOut): number {
  const context = effectContext(inputs, laidOut);
  const { steady } = sync(onlySteadyStep(laidOut), context).synced[laidOut.cycle]!;
  return simulate(
    emitForTiming(inputs, steady, context),
    costModel(laidOut.procedures, inputs.hardware).instruction,
  ).duration;
}

/** What is not asked for need not be synchronized. */
function onlySteadyStep(laidOut: LaidOut): LaidOut {
  const { cycle, parts } = laidOut;
  const step: TaskParts = { prologue: [], steady: parts[cycle]!.steady, epilogue: [] };
  return { ...laidOut, parts: { [cycle]: step } };
}
