/**
 * Replacement for units that come round and round in one order: unit j takes slot j mod slots. Where units outnumber
 * the slots every one is loaded every time, each as soon as its slot's unit has been used. Belady's rule would load
 * slots − 1 fewer, all of them through one slot, and so never while something computes.
 */
import type { Load, Slots } from "./belady.ts";

/** What the slots hold when a round begins: its first units. */
export function roundState(cycle: readonly string[], slotCount: number): Slots {
  return cycle.slice(0, slotCount);
}

/** The loads of one round, which begins and ends with its first units in the slots. */
export function roundLoads(cycle: readonly string[], slotCount: number): readonly Load[] {
  if (cycle.length <= slotCount) return [];
  const loads = cycle.flatMap((unit, touch): Load[] => {
    return touch < slotCount
      ? []
      : [{ touch, unit, slot: touch % slotCount, evicts: cycle[touch - slotCount]! }];
  });
  // In the order in which the last units leave their slots.
  const restores = Array.from({ length: slotCount }, (_, index): Load => {
    const last = cycle.length - slotCount + index;
    const slot = last % slotCount;
    return { touch: cycle.length, unit: cycle[slot]!, slot, evicts: cycle[last]! };
  });
  return [...loads, ...restores];
}
