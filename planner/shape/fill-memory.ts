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
import { slotBytes } from "../ir/values.ts";

/** Block units to pin within `bytes` more than a ring of `ring` slots a class takes; `candidates` may be pinned. */
export function blocksWithin(
  units: Units,
  { bytes, ring, candidates }: { bytes: number; ring: number; candidates: ReadonlySet<string> },
): readonly string[] {
  let left = bytes;
  const classes = [...units.classes.entries()]
    .filter(([unitClass]) => unitClass !== HEAD_CLASS)
    .map(([unitClass, members]) => ({
      members: members.filter((unit) => candidates.has(unit)),
      slot: slotBytes(units, unitClass),
    }))
    .filter(({ members }) => members.length > 0)
    .sort((a, b) => b.slot - a.slot);
  return classes.flatMap(({ members, slot }) => {
    const unit = alignUp(units.byId.get(members[0]!)!.bytes, ALIGNMENT);
    // The last units that stream have a slot each: pinning them costs nothing more.
    const cost = (count: number) =>
      count * unit + (Math.min(ring, members.length - count) - Math.min(ring, members.length)) * slot;
    let count = members.length;
    while (count > 0 && cost(count) > left) count--;
    left -= cost(count);
    return evenlySpaced(members, count);
  });
}

/** `count` of the items, as evenly spaced as possible. */
function evenlySpaced<Item>(items: readonly Item[], count: number): readonly Item[] {
  return Array.from(
    { length: count },
    (_, index) => items[Math.floor(((index + 0.5) * items.length) / count)]!,
  );
}
