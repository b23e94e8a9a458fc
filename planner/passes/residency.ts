/**
 * residency: decides which unit is in which slot at every moment, and inserts the loads.
 *
 * Requires: tasks that name their unit.
 * Guarantees: the `weights` formal of every task is bound to a place that holds its unit; per class of units, loads are
 * as few as its slots allow (Belady), or, where a step goes round and round, those of a ring; every program starts and
 * ends in the same residency. With a vram tier, ram holds some of the units that vram loads, and the others pass through
 * it tensor by tensor. The head's chunks wait in slots that live only while the head runs: they take no room from the
 * blocks, which never run at the same time.
 */
import { invariant } from "../../schemas/diagnostic.ts";
import type { ProgramName, Residency } from "../../schemas/plan.ts";
import { type Load, replace, replaceAndRestore, type Slots, steadyState } from "../ir/belady.ts";
import { roundLoads, roundState } from "../ir/first-in-first-out.ts";
import { RamRings, type Route, ringsOf } from "../ir/ram-rings.ts";
import type { Expanded, Programs, Resident, Task, ValuePlace } from "../ir/schedule.ts";
import { HEAD_CLASS, type Units } from "../ir/units.ts";
import { at, HEAD_SLOTS, pinnedSlot, ramPinnedSlot, ringSlot } from "../ir/values.ts";
import { WeightPlaces } from "../ir/weight-places.ts";

/** One use of a unit by one or more consecutive tasks. */
interface Touch {
  readonly unit: string;
  readonly firstTask: number;
  readonly phase: string;
}

/** The slots of one class in the compute tier, and the loads that keep them serving their touches. */
interface Ring {
  readonly unitClass: string;
  /** What every program finds and leaves; all empty when the slots live only within a program. */
  readonly slots: Slots;
  readonly lasting: boolean;
  readonly loads: Programs<readonly Load[]>;
  /** How these loads come through ram. */
  readonly ram: RamRings;
}

export function residency(expanded: Expanded, units: Units): Resident {
  const { shape, programs } = expanded;
  const pinned = new Set(shape.pinned);
  const inRam = new Set(shape.ramPinned);
  const touches = mapPrograms(programs, (tasks) => touchesOf(tasks, pinned));
  const classOfUnit = new Map(
    [...units.classes].flatMap(([name, members]) => members.map((unit) => [unit, name])),
  );
  const rings = [...units.classes].flatMap(([unitClass, members]) => {
    const streaming = members.filter((unit) => !pinned.has(unit));
    if (streaming.length === 0) return [];
    const served = serveClass(unitClass, streaming, touches, expanded);
    const cycle = served.loads[expanded.cycle]!.map(({ unit }) => unit).filter((unit) => !inRam.has(unit));
    const { bytes } = units.byId.get(members[0]!)!;
    return [{ ...served, ram: new RamRings(ringsOf(shape, unitClass), bytes, cycle) }];
  });
  const places = new WeightPlaces(shape, units);
  const withLoads = mapPrograms(programs, (tasks, program) => {
    const bound = new Map<number, string>();
    const loads = rings.flatMap((ring) => {
      const own = touches[program]!.filter(({ unit }) => classOfUnit.get(unit) === ring.unitClass);
      for (const [task, slot] of bindTouches(own, ring, program)) bound.set(task, slot);
      places.declareRing(ring, program);
      const inTurn = program === expanded.cycle ? [...ring.ram.inTurn()] : [];
      return ring.loads[program]!.map((load): PlacedLoad => {
        const touch = own[load.touch];
        const id = `${load.unit}/${touch?.phase ?? "restore"}`;
        const before = touch?.firstTask ?? tasks.length;
        const routes = inRam.has(load.unit) ? [] : (inTurn.shift() ?? ring.ram.asHeld(load.unit));
        return { before, load, id, to: slotIn(ring, load.slot, program), routes };
      });
    });
    const inOrder = loads.toSorted((a, b) => a.before - b.before);
    const brought = inOrder.map(({ before, load, id, to, routes }) => ({
      before,
      tasks: places.bring(load.unit, to, routes, { id, evicts: load.evicts, program }),
    }));
    return insertLoads(bindWeights(tasks, bound, pinned, touches[program]!), brought);
  });
  return {
    ...expanded,
    values: [...expanded.values, ...places.values],
    programs: withLoads,
    residency: [
      ...shape.pinned.map((unit) => ({ buffer: pinnedSlot(unit), unit })),
      ...shape.ramPinned.map((unit) => ({ buffer: ramPinnedSlot(unit), unit })),
      ...rings.flatMap(({ ram }) => ram.residency),
      ...rings.flatMap(residencyOf),
    ],
  };
}

interface PlacedLoad {
  /** Index of the task that the load serves; behind the last at the end of the program. */
  readonly before: number;
  readonly load: Load;
  readonly id: string;
  readonly to: string;
  readonly routes: readonly Route[];
}

function serveClass(
  unitClass: string,
  streaming: readonly string[],
  touches: Programs<readonly Touch[]>,
  { shape, cycle: repeated, order: direction }: Expanded,
): Omit<Ring, "ram"> {
  const members = new Set(streaming);
  const lasting = unitClass !== HEAD_CLASS;
  const order = mapPrograms(touches, (list) =>
    list.map(({ unit }) => unit).filter((unit) => members.has(unit)),
  );
  const slotCount = Math.min(lasting ? shape.ring : HEAD_SLOTS, streaming.length);
  if (!lasting) {
    const slots = new Array<string | null>(slotCount).fill(null);
    return { unitClass, lasting, slots, loads: mapPrograms(order, (list) => replace(list, slots, []).loads) };
  }
  const cycle = order[repeated]!;
  if (direction === "round") {
    const loads = mapPrograms(order, (list) => roundLoads(list, slotCount));
    return { unitClass, lasting, slots: roundState(cycle, slotCount), loads };
  }
  const slots = steadyState(cycle, slotCount);
  const loads = mapPrograms(order, (list) => replaceAndRestore(list, slots, cycle));
  return { unitClass, lasting, slots, loads };
}

function residencyOf({ unitClass, slots }: Ring): Residency {
  return slots.flatMap((unit, slot) => (unit === null ? [] : [{ buffer: ringSlot(unitClass, slot), unit }]));
}

function touchesOf(tasks: readonly Task[], pinned: ReadonlySet<string>): readonly Touch[] {
  const touches: Touch[] = [];
  tasks.forEach((task, firstTask) => {
    if (task.kind !== "run" || task.unit === null || pinned.has(task.unit)) return;
    const phase = phaseOf(task);
    const last = touches.at(-1);
    if (last?.unit === task.unit && last.phase === phase) return;
    touches.push({ unit: task.unit, firstTask, phase });
  });
  return touches;
}

/** What a task's id begins with. */
function phaseOf({ id }: Task): string {
  const end = id.indexOf("/");
  return end < 0 ? id : id.slice(0, end);
}

/** The slot that holds the unit of each touch, by the touch's first task. */
function bindTouches(
  touches: readonly Touch[],
  ring: Ring,
  program: ProgramName,
): ReadonlyMap<number, string> {
  const holding = new Map(ring.slots.flatMap((unit, slot) => (unit === null ? [] : [[unit, slot] as const])));
  const bound = new Map<number, string>();
  const loads = ring.loads[program]!;
  let nextLoad = 0;
  touches.forEach(({ unit, firstTask }, touch) => {
    for (; loads[nextLoad]?.touch === touch; nextLoad++) {
      const load = loads[nextLoad]!;
      if (load.evicts !== null) holding.delete(load.evicts);
      holding.set(load.unit, load.slot);
    }
    const slot = holding.get(unit);
    invariant(slot !== undefined, `${program}: ${unit} is touched while it is not resident`);
    bound.set(firstTask, slotIn(ring, slot, program));
  });
  return bound;
}

/** Name of a slot as a value of a program: a lasting one is the same in all of them. */
function slotIn({ unitClass, lasting }: Ring, slot: number, program: ProgramName): string {
  return lasting ? ringSlot(unitClass, slot) : `${ringSlot(unitClass, slot)}@${program}`;
}

function bindWeights(
  tasks: readonly Task[],
  places: ReadonlyMap<number, string>,
  pinned: ReadonlySet<string>,
  touches: readonly Touch[],
): readonly Task[] {
  const starts = new Set(touches.map(({ firstTask }) => firstTask));
  const stays = new Map([...pinned].map((unit) => [unit, at(pinnedSlot(unit))]));
  let streamed: ValuePlace | undefined;
  return tasks.map((task, index) => {
    if (task.kind !== "run" || task.unit === null) return task;
    if (starts.has(index)) streamed = at(places.get(index)!);
    const weights = stays.get(task.unit) ?? streamed!;
    return { ...task, bind: { ...task.bind, weights } };
  });
}

/** `loads` are sorted by the task that they stand before. */
function insertLoads(
  tasks: readonly Task[],
  loads: readonly { readonly before: number; readonly tasks: readonly Task[] }[],
): readonly Task[] {
  const result: Task[] = [];
  let at = 0;
  for (const load of loads) {
    while (at < load.before) result.push(tasks[at++]!);
    result.push(...load.tasks);
  }
  while (at < tasks.length) result.push(tasks[at++]!);
  return result;
}

export function mapPrograms<From, To>(
  programs: Programs<From>,
  map: (value: From, program: ProgramName) => To,
): Programs<To> {
  const mapped = Object.entries(programs).map(([name, value]) => {
    const program = name as ProgramName;
    return [program, map(value, program)] as const;
  });
  return Object.fromEntries(mapped) as Programs<To>;
}
