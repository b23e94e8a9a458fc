/**
 * Spends free ram beside a vram tier: on units that have a place of their own there, or on places that units take turns
 * in (ir/ram-rings.ts), down to single tensors.
 */
import { alignUp } from "../../schemas/units.ts";
import { ALIGNMENT } from "../ir/procedure.ts";
import type { RamRing } from "../ir/schedule.ts";
import type { Units } from "../ir/units.ts";
import { placeBytes } from "../ir/values.ts";
import { type BlockClass, type Counts, countsWithin } from "./fill-memory.ts";

/**
 * How ram is divided: by places that units take turns in, which is the least traffic; by units that stay, evenly spread,
 * which reads a bit more and keeps the disk busy evenly; or, with as much in vram as that takes, all that vram streams.
 */
export type RamChoice = "in turn" | "evenly" | "all";

export interface RamHolding {
  /** How many of the blocks that vram streams stay. */
  readonly kept: Counts;
  /** Chunks of the head that stay. */
  readonly head: readonly string[];
  readonly rings: readonly RamRing[];
}

/** Of what vram streams. */
export interface RamRoom {
  readonly streaming: Counts;
  readonly head: readonly string[];
  /** Slots of a class in vram. */
  readonly ring: number;
  readonly bytes: number;
}

export function ramWithin(
  units: Units,
  classes: readonly BlockClass[],
  room: RamRoom,
  choice: RamChoice,
): RamHolding {
  const { streaming, bytes } = room;
  const kept = countsWithin(classes, streaming, { bytes, ring: 0 });
  const all = kept.every((count, index) => count === streaming[index]);
  if (!all && choice === "in turn") {
    return { kept: streaming.map(() => 0), head: [], rings: ringsWithin(units, classes, room) };
  }
  // The head comes by once a step where a block comes twice: it stays last, as many of its chunks as fit.
  if (!all) return { kept, head: [], rings: [] };
  let left = bytes - kept.reduce((sum, count, index) => sum + count * classes[index]!.slot, 0);
  const head = room.head.filter((chunk) => {
    const size = placeBytes(units, chunk);
    if (size > left) return false;
    left -= size;
    return true;
  });
  return { kept, head, rings: [] };
}

/** The places of one class while they are being counted. */
interface Filling {
  readonly blocks: BlockClass;
  readonly slot: number;
  /** More places than this save one read a step instead of two. */
  readonly useful: number;
  readonly streaming: number;
  slots: number;
}

function ringsWithin(
  units: Units,
  classes: readonly BlockClass[],
  { streaming: all, ring, bytes }: RamRoom,
): readonly RamRing[] {
  const fillings = classes.map((blocks, index): Filling => {
    const streaming = all[index]!;
    return { blocks, slot: blocks.slot, useful: Math.max(0, streaming - 2 * ring), streaming, slots: 0 };
  });
  let left = bytes;
  const fill = (limit: (one: Filling) => number) => {
    for (;;) {
      // The class that would still read most: so that all of them read evenly.
      let next: Filling | undefined;
      for (const one of fillings) {
        if (one.slots >= limit(one) || one.slot > left) continue;
        if (next === undefined || stillRead(one) > stillRead(next)) next = one;
      }
      if (next === undefined) return;
      next.slots++;
      left -= next.slot;
    }
  };
  fill(({ useful }) => useful);
  const cuts = partial(units, fillings, left);
  // Of a chain that is hardly longer than its slots in vram, those in the middle are always there.
  if (cuts === undefined) fill(({ streaming }) => Math.min(streaming, 2 * Math.max(0, streaming - ring)));
  return fillings.flatMap(({ blocks: { name, bytes: end }, slots }) => {
    const cut = cuts?.unitClass === name ? cuts.to : 0;
    return [
      { unitClass: name, from: 0, to: cut, slots: slots + 1 },
      { unitClass: name, from: cut, to: end, slots },
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
  fillings: readonly Filling[],
  left: number,
): { readonly unitClass: string; readonly to: number } | undefined {
  const cuts = fillings
    .filter(({ slots, useful }) => slots < useful)
    .flatMap(({ blocks: { name, members, bytes } }) => {
      const { transfers } = units.throughRam.get(members[0]!)!;
      const ends = transfers.map((transfer) => transfer.from + transfer.bytes);
      return ends
        .filter((to) => SMALLEST_PART * bytes <= to && to < bytes)
        .map((to) => ({ unitClass: name, to }));
    })
    .filter(({ to }) => alignUp(to, ALIGNMENT) <= left);
  return cuts.reduce<(typeof cuts)[number] | undefined>((a, b) => (a && a.to >= b.to ? a : b), undefined);
}
