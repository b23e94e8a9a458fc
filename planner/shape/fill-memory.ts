/**
 * Spends free memory on weights: which units stay in a tier when so many bytes are left.
 *
 * A pinned unit saves its loads in every step. Units of a class are spread evenly over the chain, which hides streaming
 * as well as a rolling window does, where neighbours would leave the link idle for long. Larger units come first, and
 * smaller ones fill what is left.
 */
import { alignUp } from "../../schemas/units.ts";
import { ALIGNMENT } from "../ir/procedure.ts";
import { HEAD_CLASS, type Units } from "../ir/units.ts";

/** Block units of one class that may stay. */
export interface BlockClass {
  readonly members: readonly string[];
  /** Of one of them. */
  readonly bytes: number;
}

/** All blocks that `mayStay`, by class, the largest units first. */
export function blockClasses(
  units: Units,
  mayStay: (unit: string) => boolean = () => true,
): readonly BlockClass[] {
  return [...units.classes]
    .filter(([unitClass]) => unitClass !== HEAD_CLASS)
    .map(([, all]) => ({ members: all.filter(mayStay), bytes: unitBytes(units, all[0]!) }))
    .sort((a, b) => b.bytes - a.bytes);
}

/** What a place for a unit takes. */
export function unitBytes(units: Units, unit: string): number {
  return alignUp(units.byId.get(unit)!.bytes, ALIGNMENT);
}

/** How many of each class stay within `bytes` more than a ring of `ring` slots a class takes. */
export function countsWithin(classes: readonly BlockClass[], bytes: number, ring: number): readonly number[] {
  let left = bytes;
  return classes.map((one) => {
    const all = one.members.length;
    // The last units that stream have a slot each: pinning them costs nothing more.
    const allBytes = Math.max(0, all - ring) * one.bytes;
    const count = left >= allBytes ? all : Math.floor(left / one.bytes);
    left -= count === all ? allBytes : count * one.bytes;
    return count;
  });
}

/** So many of each class, evenly spaced over the chain. */
export function spread(classes: readonly BlockClass[], counts: readonly number[]): readonly string[] {
  return classes.flatMap(({ members }, index) => evenlySpaced(members, counts[index]!));
}

/** `count` of the items, as evenly spaced as possible. */
function evenlySpaced<Item>(items: readonly Item[], count: number): readonly Item[] {
  return Array.from(
    { length: count },
    (_, index) => items[Math.floor(((index + 0.5) * items.length) / count)]!,
  );
}
