/**
 * The time of a schedule that has no addresses yet: what most candidates are told apart by. Waits come from the buffers
 * that tasks share, not from bytes; what buffers that share bytes at different times add is left to the simulator, which
 * decides among the best.
 */
import type { LaneName, ProgramName } from "../../schemas/plan.ts";
import { type EffectContext, forEachUse, type UseVisitor } from "../ir/effects.ts";
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
  const buffers = new Buffers();
  /** What the task at hand touches, and whether it writes there. */
  const touched: Ends[] = [];
  const written: boolean[] = [];
  const touch: UseVisitor = (buffer, part, writes) => {
    touched.push(buffers.endsOf(buffer, part));
    written.push(writes);
  };
  let last = 0;
  for (const task of steady) {
    touched.length = 0;
    written.length = 0;
    forEachUse(task, context, touch);
    let start = free.get(task.lane) ?? 0;
    for (let which = 0; which < touched.length; which++) {
      const ready = written[which] ? touched[which]!.touched : touched[which]!.written;
      if (ready > start) start = ready;
    }
    const end = start + Math.round(durationOf(timedOf(task)));
    for (let which = 0; which < touched.length; which++) {
      const ends = touched[which]!;
      if (written[which]) ends.written = end;
      if (end > ends.touched) ends.touched = end;
    }
    free.set(task.lane, end);
    if (end > last) last = end;
  }
  return last;
}

/** When the last task that wrote a part of a buffer, and the last that touched it, ends. */
interface Ends {
  written: number;
  touched: number;
}

class Buffers {
  readonly #whole = new Map<string, Ends>();
  readonly #parts = new Map<string, Map<number, Ends>>();

  endsOf(buffer: string, part: number): Ends {
    if (part === 0) return known(this.#whole, buffer, begun);
    return known(known(this.#parts, buffer, noParts), part, begun);
  }
}

const begun = (): Ends => ({ written: 0, touched: 0 });
const noParts = (): Map<number, Ends> => new Map();

/** What a map has for a key; made where it has nothing. */
function known<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
