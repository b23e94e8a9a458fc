/**
 * bound-traffic: per program and link, the bytes moved beside a provable lower bound.
 *
 * Requires: instructions, shape. Guarantees: the bound follows from touches and capacities alone, with its certificate.
 */
import type { Plan, PlanProgram, ProgramName } from "../../schemas/plan.ts";
import { type Touched, windowBound } from "../cost/bounds.ts";
import type { Expanded, LaidOut, Programs, Task } from "../ir/schedule.ts";
import type { Units } from "../ir/units.ts";
import { computeArena } from "../ir/values.ts";

type Link = Plan["bounds"][number]["link"];

export function boundTraffic(
  expanded: Expanded,
  laidOut: LaidOut,
  units: Units,
  programs: Programs<PlanProgram>,
): Plan["bounds"] {
  const compute = computeArena(expanded.shape);
  const slots = laidOut.buffers.filter(({ holds, lifetime }) => holds === "weights" && lifetime === null);
  const capacity = (arenas: readonly string[]) =>
    slots
      .filter(({ arena, id }) => arenas.includes(arena) && !isSmall(id, units))
      .reduce((sum, { bytes }) => sum + bytes, 0);
  return (["train-step", "evaluate"] as const).flatMap((program: ProgramName) => {
    const touches = touchesOf(expanded.programs[program], units);
    const { steady } = programs[program];
    const links: Link[] = compute === "ram" ? ["disk"] : ["disk", "h2d", "d2h"];
    return links.map((link) => {
      const moving = steady.filter(({ lane }) => lane === link);
      const weights = moving.filter(
        (one) => one.kind === "read" || (one.kind === "copy" && one.unit !== null),
      );
      const sum = (list: typeof steady) => list.reduce((total, { bytes }) => total + bytes, 0);
      const compulsory = sum(moving) - sum(weights);
      const space = link === "disk" ? capacity(["ram", "vram"]) : capacity([compute]);
      const window = link === "d2h" ? { bytes: 0, windows: [] } : windowBound(touches, space);
      const bound = window.bytes + compulsory;
      const moved = sum(moving);
      return {
        link,
        program,
        moved,
        bound,
        proof: "disjoint windows",
        certificate: { capacity: space, compulsory, windows: [...window.windows] },
        gap_ppm: Math.floor(((moved - bound) * 1_000_000) / Math.max(bound, 1)),
      };
    });
  });
}

/** The norm and a resident embedding table are loaded once per run, not per step. */
function isSmall(slot: string, units: Units): boolean {
  return slot === `pin/${units.norm}` || slot === `pin/${units.embedding}`;
}

/** Which block and head units the tasks touch, in order, consecutive uses once. */
function touchesOf(tasks: readonly Task[], units: Units): readonly Touched[] {
  const touches: Touched[] = [];
  let phase = "";
  for (const task of tasks) {
    if (task.kind !== "run" || task.unit === null) continue;
    const unit = units.byId.get(task.unit)!;
    if (unit.kind !== "block" && unit.kind !== "head") continue;
    const now = task.id.split("/")[0]!;
    if (touches.at(-1)?.unit !== unit.id || phase !== now) touches.push({ unit: unit.id, bytes: unit.bytes });
    phase = now;
  }
  return touches;
}
