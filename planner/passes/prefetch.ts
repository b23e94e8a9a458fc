/**
 * prefetch: moves every load up to right behind the last task that still uses its slot, and a copy from ram behind the
 * read that brings its source, so that each lane issues loads in the order in which they can start.
 *
 * Requires: slots bound.
 * Guarantees: loads start as early as their slots allow, and before what else their lane moves by then; their number
 * and their order per lane stay the same. Loads into slots that live only while the head runs stay behind the
 * runs before it, whose memory they take: prefetch never raises a peak.
 */
import type { Resident, Task } from "../ir/schedule.ts";
import type { Units } from "../ir/units.ts";
import { computeArena } from "../ir/values.ts";
import { mapPrograms } from "./residency.ts";

export function prefetch(resident: Resident, units: Units): Resident {
  const compute = computeArena(resident.shape);
  const passing = new Set(
    resident.values.flatMap(({ id, arena, program }) => (program !== null && arena === compute ? [id] : [])),
  );
  const head = new Set(units.head.map(({ unit }) => unit));
  return {
    ...resident,
    programs: mapPrograms(resident.programs, (tasks) => moveLoadsUp(tasks, passing, head)),
  };
}

function moveLoadsUp(
  tasks: readonly Task[],
  passing: ReadonlySet<string>,
  head: ReadonlySet<string>,
): readonly Task[] {
  const result: Task[] = [];
  for (const task of tasks) {
    const load = loadOf(task);
    if (load === null) {
      result.push(task);
      continue;
    }
    const passes = passing.has(load.to) || (load.from !== null && passing.has(load.from));
    const stops = (earlier: Task) =>
      (earlier.lane === task.lane && loadOf(earlier) !== null) ||
      touchesWeights(earlier, load) ||
      (passes && earlier.kind === "run" && earlier.unit !== null && !head.has(earlier.unit));
    let position = result.length;
    while (position > 0 && !stops(result[position - 1]!)) position--;
    result.splice(position, 0, task);
  }
  return result;
}

/** The places of weights that a load fills, and takes from where it is a copy. */
interface Load {
  readonly from: string | null;
  readonly to: string;
}

/** `null` for tasks that stay where they are. */
function loadOf(task: Task): Load | null {
  if (task.kind === "read") return { from: null, to: task.to };
  if (task.kind === "copy" && task.unit !== null) return { from: task.from.buffer, to: task.to.buffer };
  return null;
}

/** Whether a task touches a place of the load. Runs touch places of weights by their formal `weights` alone. */
function touchesWeights(task: Task, { from, to }: Load): boolean {
  const touches = (place: string | undefined) => place !== undefined && (place === from || place === to);
  if (task.kind === "run") return touches(task.bind.weights?.buffer);
  if (task.kind === "read") return touches(task.to);
  return task.kind === "copy" && (touches(task.from.buffer) || touches(task.to.buffer));
}
