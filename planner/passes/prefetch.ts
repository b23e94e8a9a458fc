/**
 * prefetch: moves every load up to right behind the last task that still uses its slot, and a copy from ram behind the
 * read that brings its source, so that each lane issues loads in the order in which they can start.
 *
 * Requires: slots bound.
 * Guarantees: loads start as early as their slots allow, and before what else their lane moves by then; their number
 * and their order per lane stay the same. Loads into slots that live only while the head runs stay behind the last
 * forward, whose memory they take: prefetch never raises a peak.
 */
import { buffersOf } from "../ir/effects.ts";
import type { Resident, Task } from "../ir/schedule.ts";
import type { Units } from "../ir/units.ts";
import { computeArena } from "../ir/values.ts";
import { mapPrograms } from "./residency.ts";

export function prefetch(resident: Resident, units: Units): Resident {
  const compute = computeArena(resident.shape);
  const passing = new Set(
    resident.values.flatMap(({ id, arena, program }) => (program !== null && arena === compute ? [id] : [])),
  );
  return {
    ...resident,
    programs: mapPrograms(resident.programs, (tasks) => moveLoadsUp(tasks, passing, new Set(units.blocks))),
  };
}

function moveLoadsUp(
  tasks: readonly Task[],
  passing: ReadonlySet<string>,
  blocks: ReadonlySet<string>,
): readonly Task[] {
  const result: Task[] = [];
  const touched = new Map(tasks.map((task) => [task, new Set(buffersOf(task))]));
  for (const task of tasks) {
    const slots = loadSlots(task);
    let position = result.length;
    if (slots !== null) {
      const passes = slots.some((slot) => passing.has(slot));
      const stops = (earlier: Task) =>
        (earlier.lane === task.lane && loadSlots(earlier) !== null) ||
        slots.some((slot) => touched.get(earlier)!.has(slot)) ||
        (passes && earlier.kind === "run" && earlier.unit !== null && blocks.has(earlier.unit));
      while (position > 0 && !stops(result[position - 1]!)) position--;
    }
    result.splice(position, 0, task);
  }
  return result;
}

/** The slots a load depends on; `null` for tasks that stay where they are. */
function loadSlots(task: Task): readonly string[] | null {
  if (task.kind === "read") return [task.to];
  if (task.kind === "copy" && task.unit !== null) return [task.from.buffer, task.to.buffer];
  return null;
}
