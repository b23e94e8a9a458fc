/**
 * prefetch: moves every load up to right behind the last task that still uses its slot, and a copy from ram behind the
 * read that brings its source, so that each lane issues loads in the order in which they can start.
 *
 * Requires: slots bound.
 * Guarantees: loads start as early as their slots allow; their number and their order per lane stay the same.
 */
import { buffersOf } from "../ir/effects.ts";
import type { Resident, Task } from "../ir/schedule.ts";
import { mapPrograms } from "./residency.ts";

export function prefetch(resident: Resident): Resident {
  return { ...resident, programs: mapPrograms(resident.programs, moveLoadsUp) };
}

function moveLoadsUp(tasks: readonly Task[]): readonly Task[] {
  const result: Task[] = [];
  const touched = new Map(tasks.map((task) => [task, new Set(buffersOf(task))]));
  for (const task of tasks) {
    const slots = loadSlots(task);
    let position = result.length;
    if (slots !== null) {
      const blocks = (earlier: Task) =>
        earlier.lane === task.lane || slots.some((slot) => touched.get(earlier)!.has(slot));
      while (position > 0 && !blocks(result[position - 1]!)) position--;
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
