/**
 * roll: gives every program its prologue, steady part and epilogue.
 *
 * Requires: loads inserted.
 * Guarantees: the steady part of every program ends in the residency in which it starts, so that any sequence of
 * programs may follow any other; the prologue of the one that a run repeats makes that state from empty arenas.
 */
import { invariant } from "../../schemas/diagnostic.ts";
import type { Residency } from "../../schemas/plan.ts";
import { passesThrough } from "../ir/ram-rings.ts";
import type { Resident, Rolled, Task, Value } from "../ir/schedule.ts";
import type { Units } from "../ir/units.ts";
import { computeArena } from "../ir/values.ts";
import { type Bringing, WeightPlaces } from "../ir/weight-places.ts";
import { mapPrograms } from "./residency.ts";

export function roll(resident: Resident, units: Units): Rolled {
  const places = new WeightPlaces(resident.shape, units);
  const prologue = [...loadResidency(resident, places), ...resident.beginning];
  const parts = mapPrograms(resident.programs, (steady, program) => {
    const end = residencyAfter(resident.residency, steady);
    for (const { buffer, unit } of resident.residency) {
      invariant(
        end.get(buffer) === unit,
        `${program} ends with ${end.get(buffer)} in ${buffer}, not with ${unit}`,
      );
    }
    return { prologue: program === resident.cycle ? prologue : [], steady, epilogue: [] };
  });
  const declared = new Set(resident.values.filter(holdsWeights).map(({ id }) => id));
  const passing = places.values.filter(({ id }) => !declared.has(id));
  return { ...resident, values: [...resident.values, ...passing], parts };
}

/** What each slot holds after the loads of `tasks`. */
function residencyAfter(start: Residency, tasks: readonly Task[]): ReadonlyMap<string, string> {
  const holding = new Map(start.map(({ buffer, unit }) => [buffer, unit]));
  tasks.forEach((task) => {
    if (task.kind === "read") holding.set(task.to, task.unit);
    if (task.kind === "copy" && task.unit !== null) holding.set(task.to.buffer, task.unit);
  });
  return holding;
}

function holdsWeights({ holds }: Value): boolean {
  return holds === "weights";
}

/** Brings every unit of the steady state to its place; what ram keeps first, since vram may take it from there. */
function loadResidency({ residency, values, shape, cycle }: Resident, places: WeightPlaces): readonly Task[] {
  const arenas = new Map(values.filter(holdsWeights).map(({ id, arena }) => [id, arena]));
  const computes = ({ buffer }: Residency[number]) => arenas.get(buffer) === computeArena(shape);
  const bringing = ({ unit }: Residency[number]): Bringing => {
    return { id: `${unit}/start`, evicts: null, program: cycle };
  };
  return [
    ...residency.filter((one) => !computes(one)).flatMap((one) => places.keep(one, bringing(one))),
    ...residency
      .filter(computes)
      .flatMap((one) => places.bring(one.unit, one.buffer, passesThrough, bringing(one))),
  ];
}
