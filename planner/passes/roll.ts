/**
 * roll: gives every program its prologue, steady part and epilogue.
 *
 * Requires: loads inserted.
 * Guarantees: the steady part of every program ends in the residency in which it starts, so that any sequence of
 * programs may follow any other; the prologue of `train-step` makes that state from empty arenas.
 */
import { invariant } from "../../schemas/diagnostic.ts";
import type { Residency } from "../../schemas/plan.ts";
import type { Resident, Rolled, Task } from "../ir/schedule.ts";
import type { Units } from "../ir/units.ts";
import { ramSlot } from "../ir/values.ts";
import { copyTasks, mapPrograms, readTasks } from "./residency.ts";

export function roll(resident: Resident, units: Units): Rolled {
  const prologue = [...loadResidency(resident, units), ...resident.adapterCopies];
  const parts = mapPrograms(resident.programs, (steady, program) => {
    const end = residencyAfter(resident.residency, steady);
    for (const { buffer, unit } of resident.residency) {
      invariant(
        end.get(buffer) === unit,
        `${program} ends with ${end.get(buffer)} in ${buffer}, not with ${unit}`,
      );
    }
    return { prologue: program === "train-step" ? prologue : [], steady, epilogue: [] };
  });
  return { ...resident, parts };
}

/** What each slot holds after the loads of `tasks`. */
function residencyAfter(start: Residency, tasks: readonly Task[]): ReadonlyMap<string, string> {
  const holding = new Map(start.map(({ buffer, unit }) => [buffer, unit]));
  for (const task of tasks) {
    if (task.kind === "read") holding.set(task.to, task.unit);
    if (task.kind === "copy" && task.unit !== null) holding.set(task.to.buffer, task.unit);
  }
  return holding;
}

/** Brings every unit of the steady state to its slot; with a vram tier by way of the ram slots, in turn. */
function loadResidency({ shape, residency }: Resident, units: Units): readonly Task[] {
  const holding = new Map<string, string>();
  const read = (unit: string, to: string, id: string): readonly Task[] => {
    const evicts = holding.get(to) ?? null;
    holding.set(to, unit);
    return readTasks(id, units.byId.get(unit)!, to, evicts);
  };
  if (shape.tiers === "disk-ram")
    return residency.flatMap(({ unit, buffer }) => read(unit, buffer, `read/${unit}/start`));
  const device = residency.filter(({ buffer }) => !buffer.startsWith("ram/"));
  const copied = device.flatMap(({ unit, buffer }, index) => {
    const slot = ramSlot(index % shape.ramSlots);
    return [
      ...read(unit, slot, `read/${unit}/start`),
      ...copyTasks(`copy/${unit}/start`, units.byId.get(unit)!, slot, buffer),
    ];
  });
  const rest = residency.flatMap(({ unit, buffer }) => {
    if (!buffer.startsWith("ram/") || holding.get(buffer) === unit) return [];
    return read(unit, buffer, `read/${unit}/ram-start/${buffer}`);
  });
  return [...copied, ...rest];
}
