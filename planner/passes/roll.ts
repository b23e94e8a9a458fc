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
import { at, ramSlot } from "../ir/values.ts";
import { mapPrograms } from "./residency.ts";

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
  const read = (unit: string, to: string, evicts: string | null, id = `read/${unit}/start`): Task => {
    return { kind: "read", id, lane: "disk", unit, evicts, to };
  };
  if (shape.tiers === "disk-ram") return residency.map(({ unit, buffer }) => read(unit, buffer, null));
  const tasks: Task[] = [];
  const holding = new Map<string, string>();
  const device = residency.filter(({ buffer }) => !buffer.startsWith("ram/"));
  device.forEach(({ unit, buffer }, index) => {
    const slot = ramSlot(index % shape.ramSlots);
    tasks.push(read(unit, slot, holding.get(slot) ?? null));
    holding.set(slot, unit);
    const { bytes } = units.byId.get(unit)!;
    tasks.push({
      kind: "copy",
      id: `copy/${unit}/start`,
      lane: "h2d",
      from: at(slot),
      to: at(buffer),
      bytes,
      unit,
    });
  });
  for (const { unit, buffer } of residency) {
    if (!buffer.startsWith("ram/") || holding.get(buffer) === unit) continue;
    tasks.push(read(unit, buffer, holding.get(buffer) ?? null, `read/${unit}/ram-start/${buffer}`));
  }
  return tasks;
}
