/**
 * prefetch: moves every load up to right behind the last task that still uses its slot, and a copy from ram behind the
 * read that brings its source, so that each lane issues loads in the order in which they can start.
 *
 * Requires: slots bound.
 * Guarantees: loads start as early as their slots allow, and before what else their lane moves by then; their number
 * and their order per lane stay the same. Loads into slots that live only while the head runs stay behind the
 * runs before it, whose memory they take: prefetch never raises a peak.
 */
import type { LaneName } from "../../schemas/plan.ts";
import type { Resident, Task } from "../ir/schedule.ts";
import type { Units } from "../ir/units.ts";
import { computeArena } from "../ir/values.ts";
import { mapPrograms } from "./residency.ts";

export function prefetch(resident: Resident, units: Units): Resident {
  const compute = computeArena(resident.shape);
  const passing = new Set(
    resident.values
      .filter(({ arena, holds, program }) => holds === "weights" && program !== null && arena === compute)
      .map(({ id }) => id),
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
  const others: Task[] = [];
  /** The loads behind each of the others; first those before all of them. */
  const behind: (Task[] | undefined)[] = new Array(tasks.length + 1);
  /** How many others stand before the last task that touches a place of weights, and before the last load of a lane. */
  const touched = new Map<string, number>();
  const loaded = new Map<LaneName, number>();
  const touch = (place: string, after: number) =>
    touched.set(place, Math.max(after, touched.get(place) ?? 0));
  let blocks = 0;
  for (const task of tasks) {
    const load = loadOf(task);
    if (load === null) {
      others.push(task);
      const weights = task.kind === "run" ? task.bind.weights : undefined;
      if (weights) touch(weights.buffer, others.length);
      if (task.kind === "run" && task.unit !== null && !head.has(task.unit)) blocks = others.length;
      continue;
    }
    const { from, to } = load;
    const passes = passing.has(to) || (from !== null && passing.has(from));
    const after = Math.max(
      loaded.get(task.lane) ?? 0,
      touched.get(to) ?? 0,
      from === null ? 0 : (touched.get(from) ?? 0),
      passes ? blocks : 0,
    );
    const here = behind[after] ?? [];
    behind[after] = here;
    const last = here.findLastIndex((earlier) => earlier.lane === task.lane || sharesPlace(earlier, load));
    here.splice(last + 1, 0, task);
    loaded.set(task.lane, after);
    touch(to, after);
    if (from !== null) touch(from, after);
  }
  const moved: Task[] = [...(behind[0] ?? [])];
  others.forEach((task, before) => {
    moved.push(task);
    const loads = behind[before + 1];
    if (loads) moved.push(...loads);
  });
  return moved;
}

/** The places of weights that a load fills, and takes from where it is a copy. Others touch them by running on them. */
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

function sharesPlace(earlier: Task, { from, to }: Load): boolean {
  const places = loadOf(earlier);
  if (places === null) return false;
  if (places.to === to || places.to === from) return true;
  return places.from !== null && (places.from === to || places.from === from);
}
