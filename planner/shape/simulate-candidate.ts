/** The simulated time of a step of the work that a plan of some shape is for, through the passes that come after its layout. */
import type { ProgramName } from "../../schemas/plan.ts";
import type { LaidOut, TaskParts } from "../ir/schedule.ts";
import type { Variant } from "../ir/variants.ts";
import { emitForTiming } from "../passes/emit.ts";
import { effectContext } from "../passes/realize.ts";
import { sync } from "../passes/sync.ts";
import { simulate } from "../simulate/simulate.ts";

/** Nanoseconds. */
export function simulateCandidate(variant: Variant, laidOut: LaidOut): number {
  const { inputs } = variant;
  const context = effectContext(variant, laidOut);
  const durationOf = variant.costs(laidOut.procedures).instruction;
  return variant.work(laidOut.shape).reduce((sum, { program, times }) => {
    const { steady } = sync(onlySteady(laidOut, program), context).synced[program]!;
    return sum + times * simulate(emitForTiming(inputs, steady, context), durationOf).duration;
  }, 0);
}

/** What is not asked for need not be synchronized. */
function onlySteady(laidOut: LaidOut, program: ProgramName): LaidOut {
  const step: TaskParts = { prologue: [], steady: laidOut.parts[program]!.steady, epilogue: [] };
  return { ...laidOut, parts: { [program]: step } };
}
