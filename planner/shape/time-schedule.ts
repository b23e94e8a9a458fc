/**
 * The time of a schedule that has no addresses yet: what most candidates are told apart by. Waits come from the buffers
 * that tasks share, not from bytes; what buffers that share bytes at different times add is left to the simulator, which
 * decides among the best.
 */
import type { LaneName, ProgramName } from "../../schemas/plan.ts";
import { type EffectContext, usesOf } from "../ir/effects.ts";
import type { Rolled } from "../ir/schedule.ts";
import type { Variant } from "../ir/variants.ts";
import { emitForTiming } from "../passes/emit.ts";
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
  const instructions = emitForTiming(
    variant.inputs,
    steady.map((task) => ({ task, waits: [] })),
    context,
  );
  const free = new Map<LaneName, number>();
  const buffers = new Map<string, { written: number; touched: number }>();
  let last = 0;
  steady.forEach((task, index) => {
    let start = free.get(task.lane) ?? 0;
    const uses = usesOf(task, context);
    for (const { buffer, writes } of uses) {
      const known = buffers.get(buffer);
      if (known) start = Math.max(start, writes ? known.touched : known.written);
    }
    const end = start + Math.round(durationOf(instructions[index]!));
    for (const { buffer, writes } of uses) {
      const known = buffers.get(buffer) ?? { written: 0, touched: 0 };
      buffers.set(buffer, { written: writes ? end : known.written, touched: Math.max(end, known.touched) });
    }
    free.set(task.lane, end);
    last = Math.max(last, end);
  });
  return last;
}
