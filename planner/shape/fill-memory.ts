/**
 * Spends free memory on weights: how many units stay in a tier when so many bytes are left.
 *
 * A pinned unit saves its loads in every step. Larger units come first, and smaller ones fill what is left. The search
 * weighs numbers of units; which ones they are is said of the shape that it arrives at.
 */
import { HEAD_CLASS, type Units } from "../ir/units.ts";
import { slotBytes } from "../ir/values.ts";

/** Block units that take turns in the same slots. */
export interface BlockClass {
  readonly name: string;
  readonly members: readonly string[];
  /** Of one of them. */
  readonly bytes: number;
  /** What a place for one takes. */
  readonly slot: number;
}

/** How many units of each class, in the order of `blockClasses`. */
export type Counts = readonly number[];

/** The largest units first. */
export function blockClasses(units: Units): readonly BlockClass[] {
  return [...units.classes]
    .filter(([name]) => name !== HEAD_CLASS)
    .map(([name, members]) => {
      const { bytes } = units.byId.get(members[0]!)!;
      return { name, members, bytes, slot: slotBytes(units, name) };
    })
    .sort((a, b) => b.slot - a.slot);
}

/** How many of `all` stay within `bytes` more than a ring of `ring` slots a class takes. */
export function countsWithin(
  classes: readonly BlockClass[],
  all: Counts,
  { bytes, ring }: { readonly bytes: number; readonly ring: number },
): Counts {
  let left = bytes;
  return classes.map(({ slot }, index) => {
    const most = all[index]!;
    // The last units that stream have a slot each: pinning them costs nothing more.
    const allBytes = Math.max(0, most - ring) * slot;
    const count = left >= allBytes ? most : Math.floor(left / slot);
    left -= count === most ? allBytes : count * slot;
    return count;
  });
}

/** What so many units of each class take beyond a ring of `ring` slots a class. */
export function bytesOfCounts(classes: readonly BlockClass[], counts: Counts, ring: number): number {
  return classes.reduce((sum, { slot, members }, index) => {
    const count = counts[index]!;
    return sum + (count === members.length ? Math.max(0, count - ring) : count) * slot;
  }, 0);
}

/**
 * So many members of each class, evenly spaced over the chain: that hides streaming as well as a rolling window does,
 * where neighbours would leave the link idle for long.
 */
export function spread(members: readonly (readonly string[])[], counts: Counts): readonly string[] {
  return members.flatMap((all, index) => evenlySpaced(all, counts[index]!));
}

/** `count` of the items, as evenly spaced as possible. */
function evenlySpaced<Item>(items: readonly Item[], count: number): readonly Item[] {
  return Array.from(
    { length: count },
    (_, index) => items[Math.floor(((index + 0.5) * items.length) / count)]!,
  );
}
