/**
 * residency: decides which unit is in which slot at every moment, and inserts the loads.
 *
 * Requires: tasks that name their unit.
 * Guarantees: the `weights` formal of every task is bound to a slot that holds its unit; loads are as few as the slots
 * allow (Belady; with a vram tier, Belady on vram and then on its miss stream); every program starts and ends in the
 * same residency.
 */
import { invariant } from "../../schemas/diagnostic.ts";
import type { PlanUnit, ProgramName } from "../../schemas/plan.ts";
import { type Load, replaceAndRestore, type Slots, steadyState } from "../ir/belady.ts";
import { ALIGNMENT } from "../ir/procedure.ts";
import type { CopyTask, Expanded, Programs, ReadTask, Resident, Shape, Task, Value } from "../ir/schedule.ts";
import { transfersOf, type Units } from "../ir/units.ts";
import { at, computeArena, pinnedSlot, ramSlot, ringSlot, slotBytes } from "../ir/values.ts";

/** One use of a unit by one or more consecutive tasks. */
interface Touch {
  readonly unit: string;
  readonly firstTask: number;
  readonly phase: string;
}

export function residency(expanded: Expanded, units: Units): Resident {
  const { shape, programs } = expanded;
  const pinned = new Set(shape.pinned);
  const touches = mapPrograms(programs, (tasks) => touchesOf(tasks, pinned));
  const order = (program: ProgramName) => touches[program].map((touch) => touch.unit);
  const cycle = order("train-step");
  const slots = steadyState(cycle, shape.ring);
  const loads = mapPrograms(touches, (list) =>
    replaceAndRestore(
      list.map((touch) => touch.unit),
      slots,
      cycle,
    ),
  );
  const ram = shape.tiers === "disk-ram" ? null : ramTier(loads, shape.ramSlots, units.norm);
  const withLoads = mapPrograms(programs, (tasks, program) => {
    const bound = bindWeights(tasks, loads[program], touches[program], slots, pinned);
    const chain = ram && chainedLoads(ram, program, units);
    const make = (load: Load, index: number, id: string) =>
      chain?.load(load, index, id) ?? readLoad(load, id, units);
    const list = insertLoads(bound, touches[program], loads[program], make);
    return chain ? [...list, ...chain.restore(loads[program].length)] : list;
  });
  return {
    ...expanded,
    values: [...expanded.values, ...slotValues(shape, units)],
    programs: withLoads,
    residency: [
      ...shape.pinned.map((unit) => ({ buffer: pinnedSlot(unit), unit })),
      ...slots.flatMap((unit, slot) => (unit === null ? [] : [{ buffer: ringSlot(slot), unit }])),
      ...(ram?.slots ?? []).flatMap((unit, slot) => (unit === null ? [] : [{ buffer: ramSlot(slot), unit }])),
    ],
  };
}

interface RamTier {
  readonly slots: Slots;
  readonly loads: Programs<readonly Load[]>;
}

/** The miss stream of vram is the touch sequence of ram; a slot that it leaves empty holds `filler`. */
function ramTier(loads: Programs<readonly Load[]>, slotCount: number, filler: string): RamTier {
  const cycle = loads["train-step"].map((load) => load.unit);
  const slots = steadyState(cycle, slotCount).map((unit) => unit ?? filler);
  return {
    slots,
    loads: mapPrograms(loads, (list) =>
      replaceAndRestore(
        list.map((load) => load.unit),
        slots,
        cycle,
      ),
    ),
  };
}

function touchesOf(tasks: readonly Task[], pinned: ReadonlySet<string>): readonly Touch[] {
  const touches: Touch[] = [];
  tasks.forEach((task, firstTask) => {
    if (task.kind !== "run" || task.unit === null || pinned.has(task.unit)) return;
    const phase = task.id.split("/")[0]!;
    const last = touches.at(-1);
    if (last?.unit === task.unit && last.phase === phase) return;
    touches.push({ unit: task.unit, firstTask, phase });
  });
  return touches;
}

function bindWeights(
  tasks: readonly Task[],
  loads: readonly Load[],
  touches: readonly Touch[],
  start: Slots,
  pinned: ReadonlySet<string>,
): readonly Task[] {
  const holding = new Map(start.flatMap((unit, slot) => (unit === null ? [] : [[unit, slot] as const])));
  let touch = -1;
  let nextLoad = 0;
  return tasks.map((task, index) => {
    if (task.kind !== "run" || task.unit === null) return task;
    if (pinned.has(task.unit)) return { ...task, bind: { ...task.bind, weights: at(pinnedSlot(task.unit)) } };
    while (touches[touch + 1]?.firstTask === index) {
      touch++;
      for (; loads[nextLoad]?.touch === touch; nextLoad++) {
        const { evicts, unit, slot } = loads[nextLoad]!;
        if (evicts !== null) holding.delete(evicts);
        holding.set(unit, slot);
      }
    }
    const slot = holding.get(task.unit);
    invariant(slot !== undefined, `${task.id} runs while ${task.unit} is not resident`);
    return { ...task, bind: { ...task.bind, weights: at(ringSlot(slot)) } };
  });
}

function insertLoads(
  tasks: readonly Task[],
  touches: readonly Touch[],
  loads: readonly Load[],
  makeLoads: (load: Load, index: number, id: string) => readonly Task[],
): readonly Task[] {
  const before = new Map<number, Task[]>();
  loads.forEach((load, index) => {
    const touch = touches[load.touch];
    const position = touch?.firstTask ?? tasks.length;
    const made = makeLoads(load, index, `${load.unit}/${touch?.phase ?? "restore"}`);
    before.set(position, [...(before.get(position) ?? []), ...made]);
  });
  return [
    ...tasks.flatMap((task, index) => [...(before.get(index) ?? []), task]),
    ...(before.get(tasks.length) ?? []),
  ];
}

/** Two tiers: each load is one read from disk. */
function readLoad(load: Load, id: string, units: Units): readonly Task[] {
  return readTasks(`read/${id}`, units.byId.get(load.unit)!, ringSlot(load.slot), load.evicts);
}

/** Three tiers: each vram load is a copy from ram, after the read that brings the unit there if it is not. */
function chainedLoads(ram: RamTier, program: ProgramName, units: Units) {
  const holding = new Map(ram.slots.flatMap((unit, slot) => (unit === null ? [] : [[unit, slot] as const])));
  const take = (reads: readonly Load[], id: (unit: string) => string): readonly Task[] =>
    reads.flatMap((read) => {
      if (read.evicts !== null) holding.delete(read.evicts);
      holding.set(read.unit, read.slot);
      return readTasks(`read/${id(read.unit)}`, units.byId.get(read.unit)!, ramSlot(read.slot), read.evicts);
    });
  const all = ram.loads[program];
  return {
    load: (load: Load, index: number, id: string): readonly Task[] => {
      const reads = take(
        all.filter(({ touch }) => touch === index),
        () => id,
      );
      const from = ramSlot(holding.get(load.unit)!);
      return [...reads, ...copyTasks(`copy/${id}`, units.byId.get(load.unit)!, from, ringSlot(load.slot))];
    },
    restore: (vramLoads: number) =>
      take(
        all.filter(({ touch }) => touch === vramLoads),
        (unit) => `${unit}/ram-restore`,
      ),
  };
}

/** The reads that bring a unit to a slot. */
export function readTasks(
  id: string,
  unit: PlanUnit,
  to: string,
  evicts: string | null,
): readonly ReadTask[] {
  return transfersOf(unit).map(({ suffix, parts }, index) => {
    return {
      kind: "read",
      id: id + suffix,
      lane: "disk",
      unit: unit.id,
      parts,
      evicts: index === 0 ? evicts : null,
      to,
    };
  });
}

/** The copies that bring a unit from a ram slot to a vram slot. */
export function copyTasks(id: string, unit: PlanUnit, from: string, to: string): readonly CopyTask[] {
  return transfersOf(unit).map(({ suffix, from: offset, bytes }) => {
    const ends = { from: at(from, offset), to: at(to, offset) };
    return { kind: "copy", id: id + suffix, lane: "h2d", ...ends, bytes, unit: unit.id };
  });
}

function slotValues(shape: Shape, units: Units): readonly Value[] {
  const slot = (id: string, arena: Value["arena"], bytes: number): Value => ({
    id,
    arena,
    bytes,
    alignment: ALIGNMENT,
    holds: "weights",
    program: null,
  });
  const compute = computeArena(shape);
  const size = slotBytes(units);
  return [
    ...shape.pinned.map((unit) => slot(pinnedSlot(unit), compute, units.byId.get(unit)!.bytes)),
    ...Array.from({ length: shape.ring }, (_, index) => slot(ringSlot(index), compute, size)),
    ...Array.from({ length: shape.ramSlots }, (_, index) => slot(ramSlot(index), "ram", size)),
  ];
}

export function mapPrograms<From, To>(
  programs: Programs<From>,
  map: (value: From, program: ProgramName) => To,
): Programs<To> {
  return {
    "train-step": map(programs["train-step"], "train-step"),
    evaluate: map(programs.evaluate, "evaluate"),
    checkpoint: map(programs.checkpoint, "checkpoint"),
  };
}
