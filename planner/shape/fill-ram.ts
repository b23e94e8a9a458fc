/**
 * Spends free ram beside a vram tier: on units that have a place of their own there, or on places that units take turns
 * in (ir/ram-rings.ts), down to single tensors.
 */
import { alignUp } from "../../schemas/units.ts";
import { ALIGNMENT } from "../ir/procedure.ts";
import type { RamRing, Shape } from "../ir/schedule.ts";
import { HEAD_CLASS, tensorTransfers, type Units } from "../ir/units.ts";
import { slotBytes } from "../ir/values.ts";
import { blockClasses, countsWithin, spread, unitBytes } from "./fill-memory.ts";

/**
 * How ram is divided: by places that units take turns in, which is the least traffic; by units that stay, evenly spread,
 * which reads a bit more and keeps the disk busy evenly; or, with as much in vram as that takes, all that vram streams.
 */
export type RamChoice = "in turn" | "evenly" | "all";

export type RamShape = Pick<Shape, "ramPinned" | "ramRings">;

export function ramWithin(units: Units, shape: Shape, bytes: number, choice: RamChoice): RamShape {
  const resident = new Set(shape.pinned);
  const streaming = blockClasses(units, (unit) => !resident.has(unit));
  const counts = countsWithin(streaming, bytes, 0);
  const all = streaming.every(({ members }, index) => counts[index] === members.length);
  if (!all && choice === "in turn") return { ramPinned: [], ramRings: ringsWithin(units, shape, bytes) };
  const kept = spread(streaming, counts);
  // The head comes by once a step where a block comes twice: it stays last, as many of its chunks as fit.
  if (!all) return { ramPinned: kept, ramRings: [] };
  let left = bytes - kept.reduce((sum, unit) => sum + unitBytes(units, unit), 0);
  const head = units.head.filter(({ unit }) => {
    if (resident.has(unit) || unitBytes(units, unit) > left) return false;
    left -= unitBytes(units, unit);
    return true;
  });
  return { ramPinned: [...kept, ...head.map(({ unit }) => unit)], ramRings: [] };
}

/** The places of one class while they are being counted. */
interface Filling {
  readonly unitClass: string;
  readonly slot: number;
  /** More places than this save one read a step instead of two. */
  readonly useful: number;
  readonly streaming: number;
  slots: number;
}

function ringsWithin(units: Units, { pinned, ring }: Shape, bytes: number): readonly RamRing[] {
  const resident = new Set(pinned);
  const classes = [...units.classes]
    .filter(([unitClass]) => unitClass !== HEAD_CLASS)
    .map(([unitClass, members]): Filling => {
      const streaming = members.filter((unit) => !resident.has(unit)).length;
      const useful = Math.max(0, streaming - 2 * ring);
      return { unitClass, slot: slotBytes(units, unitClass), useful, streaming, slots: 0 };
    });
  let left = bytes;
  const fill = (limit: (one: Filling) => number) => {
    for (;;) {
      const open = classes.filter((one) => one.slots < limit(one) && one.slot <= left);
      if (open.length === 0) return;
      // The class that would still read most: so that all of them read evenly.
      const next = open.reduce((a, b) => (stillRead(b) > stillRead(a) ? b : a));
      next.slots++;
      left -= next.slot;
    }
  };
  fill(({ useful }) => useful);
  const cuts = partial(units, classes, left);
  // Of a chain that is hardly longer than its slots in vram, those in the middle are always there.
  if (cuts === undefined) fill(({ streaming }) => Math.min(streaming, 2 * Math.max(0, streaming - ring)));
  return classes.flatMap(({ unitClass, slots }) => {
    const { bytes: end } = units.byId.get(units.classes.get(unitClass)![0]!)!;
    const cut = cuts?.unitClass === unitClass ? cuts.to : 0;
    return [
      { unitClass, from: 0, to: cut, slots: slots + 1 },
      { unitClass, from: cut, to: end, slots },
    ].filter(({ from, to, slots: count }) => from < to && count > 0);
  });
}

function stillRead({ useful, slots, slot }: Filling): number {
  return (useful - slots) * slot;
}

/** A smaller part of a unit is not worth moves of its own. */
const SMALLEST_PART = 1 / 8;

/** The largest part of a unit that still fits, up to a cut between two of its tensors. */
function partial(
  units: Units,
  classes: readonly Filling[],
  left: number,
): { readonly unitClass: string; readonly to: number } | undefined {
  const cuts = classes
    .filter(({ slots, useful }) => slots < useful)
    .flatMap(({ unitClass }) => {
      const unit = units.byId.get(units.classes.get(unitClass)![0]!)!;
      const ends = tensorTransfers(unit).map(({ from, bytes }) => from + bytes);
      return ends
        .filter((to) => SMALLEST_PART * unit.bytes <= to && to < unit.bytes)
        .map((to) => ({ unitClass, to }));
    })
    .filter(({ to }) => alignUp(to, ALIGNMENT) <= left);
  return cuts.reduce<(typeof cuts)[number] | undefined>((a, b) => (a && a.to >= b.to ? a : b), undefined);
}
