/** What stays where beyond a floor, as numbers of units: what the closed form weighs, and a shape follows from. */
import { alignUp } from "../../schemas/units.ts";
import { ALIGNMENT } from "../ir/procedure.ts";
import type { Shape } from "../ir/schedule.ts";
import type { Units } from "../ir/units.ts";
import { placeBytes } from "../ir/values.ts";
import { type BlockClass, type Counts, countsWithin, spread } from "./fill-memory.ts";
import { type RamChoice, type RamHolding, ramWithin } from "./fill-ram.ts";

export interface Holding {
  /** How many blocks the compute tier pins. */
  readonly pinned: Counts;
  /** How many it streams. */
  readonly streaming: Counts;
  /** Chunks of the head that it streams. */
  readonly head: readonly string[];
  /** `null` with two tiers. */
  readonly ram: RamHolding | null;
}

export function pinsWithin(classes: readonly BlockClass[], { ring }: Shape, bytes: number): Counts {
  return countsWithin(
    classes,
    classes.map(({ members }) => members.length),
    { bytes, ring },
  );
}

/** With so many pinned blocks. */
export function holdingOf(
  units: Units,
  classes: readonly BlockClass[],
  floor: Shape,
  pinned: Counts,
  ram: { readonly bytes: number; readonly choice: RamChoice },
): Holding {
  const streaming = classes.map(({ members }, index) => members.length - pinned[index]!);
  const head = streamedHead(units, floor);
  const held =
    floor.tiers === "disk-ram"
      ? null
      : ramWithin(units, classes, { streaming, head, ring: floor.ring, bytes: ram.bytes }, ram.choice);
  return { pinned, streaming, head, ram: held };
}

/** Bytes of ram that weights take; nothing with two tiers. */
export function ramBytes(units: Units, classes: readonly BlockClass[], { ram }: Holding): number {
  if (ram === null) return 0;
  const places = [
    ...classes.map(({ slot }, index) => ram.kept[index]! * slot),
    ...ram.head.map((chunk) => placeBytes(units, chunk)),
    ...ram.rings.map(({ from, to, slots }) => slots * alignUp(to - from, ALIGNMENT)),
  ];
  return places.reduce((sum, bytes) => sum + bytes, 0);
}

function streamedHead(units: Units, { pinned }: Shape): readonly string[] {
  return units.head.map(({ unit }) => unit).filter((unit) => !pinned.includes(unit));
}

/** The floor with what stays. */
export function withHolding(classes: readonly BlockClass[], floor: Shape, { pinned, ram }: Holding): Shape {
  const blocks = spread(
    classes.map(({ members }) => members),
    pinned,
  );
  const shape = { ...floor, pinned: [...floor.pinned, ...blocks] };
  if (ram === null) return shape;
  const near = new Set(blocks);
  const streaming = classes.map(({ members }) => members.filter((unit) => !near.has(unit)));
  return { ...shape, ramPinned: [...spread(streaming, ram.kept), ...ram.head], ramRings: ram.rings };
}
