/**
 * Belady's replacement (Belady 1966: evict what is needed farthest in the future) over a known sequence of touches,
 * with uniform slots. It makes the fewest loads possible for that many slots; where a unit may also pass by without
 * taking a slot, one that is needed later than all that the slots hold does.
 */
import { invariant } from "../../schemas/diagnostic.ts";

/** Slot contents; `null` is an empty slot. */
export type Slots = readonly (string | null)[];

export interface Load {
  /** Index of the touch that needs it; the length of the sequence for loads that restore the final state. */
  readonly touch: number;
  readonly unit: string;
  readonly slot: number;
  readonly evicts: string | null;
}

export interface Replacement {
  readonly loads: readonly Load[];
  readonly final: Slots;
}

/**
 * Serves `touches` in order. What comes after them decides which units are worth keeping: `future` is the sequence
 * that follows (the next cycle, or the units that must be there at the end).
 */
export function replace(touches: readonly string[], start: Slots, future: readonly string[]): Replacement {
  const sequence = [...touches, ...future];
  const nextUse = nextUses(sequence);
  const slots = [...start];
  const dueAt = firstUses(sequence);
  const loads: Load[] = [];
  touches.forEach((unit, touch) => {
    if (!slots.includes(unit)) {
      const slot = victim(slots, dueAt);
      loads.push({ touch, unit, slot, evicts: slots[slot]! });
      slots[slot] = unit;
    }
    dueAt.set(unit, nextUse[touch]!);
  });
  return { loads, final: slots };
}

/** The state that a cyclic sequence settles in at its start; `null`s only where slots outnumber the units. */
export function steadyState(cycle: readonly string[], slotCount: number): Slots {
  const start: Slots = new Array<string | null>(slotCount).fill(null);
  let state = replace(cycle, start, cycle).final;
  // Belady's contents at the cycle boundary repeat after one full cycle; a second one settles the slots as well.
  for (let cycles = 0; cycles < SETTLING - 1; cycles++) {
    const next = replace(cycle, state, cycle).final;
    if (next.every((unit, slot) => unit === state[slot])) return state;
    state = next;
  }
  return state;
}

/** Serves `touches` from `state` and then reloads every slot whose content differs from `state`: the cycle closes. */
export function replaceAndRestore(
  touches: readonly string[],
  state: Slots,
  cycle: readonly string[],
): readonly Load[] {
  const { loads, final } = replace(touches, state, cycle);
  const restores = state.flatMap((unit, slot): Load[] => {
    if (unit === null || final[slot] === unit) return [];
    return [{ touch: touches.length, unit, slot, evicts: final[slot]! }];
  });
  return [...loads, ...restores];
}

/** How one touch of a sequence is served where units may pass by. */
export interface Passage {
  readonly unit: string;
  /** `null` when it passes by. */
  readonly slot: number | null;
  readonly loads: boolean;
  readonly evicts: string | null;
}

export interface Passages {
  readonly passages: readonly Passage[];
  readonly final: Slots;
}

/** As `replace`, but a unit whose next use is farther than that of all that the slots hold passes by. */
export function replaceOrPass(touches: readonly string[], start: Slots, future: readonly string[]): Passages {
  const sequence = [...touches, ...future];
  const nextUse = nextUses(sequence);
  const slots = [...start];
  const dueAt = firstUses(sequence);
  const passages = touches.map((unit, touch): Passage => {
    dueAt.set(unit, nextUse[touch]!);
    const held = slots.indexOf(unit);
    if (held >= 0) return { unit, slot: held, loads: false, evicts: null };
    const slot = slots.length === 0 ? null : victim(slots, dueAt);
    const evicts = slot === null ? null : slots[slot]!;
    const farther = evicts === null || dueOf(evicts, dueAt) > nextUse[touch]!;
    if (slot === null || !farther) return { unit, slot: null, loads: true, evicts: null };
    slots[slot] = unit;
    return { unit, slot, loads: true, evicts };
  });
  return { passages, final: slots };
}

/** The state that a cyclic sequence settles in at its start where units may pass by. */
export function steadyStateBeside(cycle: readonly string[], slotCount: number): Slots {
  let state: Slots = new Array<string | null>(slotCount).fill(null);
  for (let cycles = 0; cycles < SETTLING; cycles++) {
    const next = replaceOrPass(cycle, state, cycle).final;
    if (next.every((unit, slot) => unit === state[slot])) return state;
    state = next;
  }
  return state;
}

/** Cycles after which contents, and then the slots that they are in, repeat. */
const SETTLING = 4;

function firstUses(sequence: readonly string[]): Map<string, number> {
  const dueAt = new Map<string, number>();
  sequence.forEach((unit, index) => {
    if (!dueAt.has(unit)) dueAt.set(unit, index);
  });
  return dueAt;
}

function dueOf(unit: string, dueAt: ReadonlyMap<string, number>): number {
  return dueAt.get(unit) ?? Number.POSITIVE_INFINITY;
}

function nextUses(sequence: readonly string[]): readonly number[] {
  const next = new Array<number>(sequence.length).fill(Number.POSITIVE_INFINITY);
  const seen = new Map<string, number>();
  for (let index = sequence.length - 1; index >= 0; index--) {
    next[index] = seen.get(sequence[index]!) ?? Number.POSITIVE_INFINITY;
    seen.set(sequence[index]!, index);
  }
  return next;
}

function victim(slots: Slots, dueAt: ReadonlyMap<string, number>): number {
  const empty = slots.indexOf(null);
  if (empty >= 0) return empty;
  let best = -1;
  let farthest = -1;
  slots.forEach((unit, slot) => {
    const due = dueOf(unit!, dueAt);
    if (due <= farthest) return;
    best = slot;
    farthest = due;
  });
  invariant(best >= 0, "no slot to load into");
  return best;
}
