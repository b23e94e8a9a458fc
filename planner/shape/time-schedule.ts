/**
 * The time of a schedule that has no addresses yet: what most candidates are told apart by. Waits come from the buffers
 * that tasks share, not from bytes; what buffers that share bytes at different times add is left to the simulator, which
 * decides among the best.
 */
import type { LaneName, ProgramName } from "../../schemas/plan.ts";
import { type EffectContext, usesOf } from "../ir/effects.ts";
import type { Rolled } from "../ir/schedule.ts";
import type { Variant } from "../ir/variants.ts";
import { timedWork } from "../passes/emit.ts";
import { effectContext } from "../passes/realize.ts";

/** Nanoseconds of a step of the variant's work. */
export function timeSchedule(variant: Variant, rolled: Rolled): number {
  const context = effectContext(variant, rolled);
  return variant.work(rolled.shape).reduce((sum, { program, times }) => {
    return sum + times * timeProgram(variant, rolled, program, context);
  }, 0);
}

function timeProgram(variant: Variant, rolled: Rolled, program: ProgramName, context: EffectContext): number {
  const { steady } = rolled.parts[program]!;
  const durationOf = variant.costs(rolled.procedures).instruction;
  const timedOf = timedWork(variant.inputs);
  const free = new Map<LaneName, number>();
  const buffers = new Map<string, Ends>();
  let last = 0;
  for (const task of steady) {
    let start = free.get(task.lane) ?? 0;
    const touches = usesOf(task, context).map(({ buffer, writes }) => {
      const ends = buffers.get(buffer) ?? { written: 0, touched: 0 };
      buffers.set(buffer, ends);
      start = Math.max(start, writes ? ends.touched : ends.written);
      return { ends, writes };
    });
    const end = start + Math.round(durationOf(timedOf(task)));
    for (const { ends, writes } of touches) {
      if (writes) ends.written = end;
      ends.touched = Math.max(end, ends.touched);
    }
    free.set(task.lane, end);
    last = Math.max(last, end);
  }
  return last;
}

/** When the last task that wrote a buffer, and the last that touched it, ends. */
interface Ends {
  written: number;
  touched: number;
}
