/** The simulated time of a shape's train step, through the passes that come after its layout. */
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
  const { steady } = sync(onlySteadyStep(laidOut), context).synced["train-step"];
  return simulate(
    emitForTiming(inputs, steady, context),
    costModel(laidOut.procedures, inputs.hardware).instruction,
  ).duration;
}

/** What is not asked for need not be synchronized. */
function onlySteadyStep(laidOut: LaidOut): LaidOut {
  const none: TaskParts = { prologue: [], steady: [], epilogue: [] };
  const step = { ...none, steady: laidOut.parts["train-step"].steady };
  return { ...laidOut, parts: { "train-step": step, evaluate: none, checkpoint: none } };
}
