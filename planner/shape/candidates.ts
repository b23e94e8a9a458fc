/**
 * Candidates: every floor that fits, grown into the memory that it leaves (divide.ts).
 */
import type { ArenaName } from "../../schemas/plan.ts";
import type { KeptCounts } from "../ir/kept.ts";
import type { Shape } from "../ir/schedule.ts";
import { computeArena, passingBytes, placeBytes, ringBytes } from "../ir/values.ts";
import type { Variant } from "../ir/variants.ts";
import { arenaBudget, tiersOf } from "../passes/feasible.ts";
import { type Measured, measure } from "../passes/realize.ts";
import { divide, type Room } from "./divide.ts";
import { type Estimate, Estimator } from "./estimate.ts";
import { blockClasses } from "./fill-memory.ts";
import type { RamChoice } from "./fill-ram.ts";
import { countWork, leastWork } from "./floor-work.ts";
import { floors, narrowestFloor, passingSlots, ringDepths, widestPlacements } from "./floors.ts";
import { holdingOf, pinsWithin } from "./holding.ts";
import { NOTHING_KEPT } from "./kept-activations.ts";

export interface Candidate {
  readonly variant: Variant;
  readonly shape: Shape;
  readonly ramChoice: RamChoice;
  readonly estimate: Estimate;
  /** The same candidate in less room, for when its layout turns out to need more than its fullest moment. */
  readonly within: (lost: Room) => Candidate;
  /** What the same floor becomes with the activations of a block less kept, where it computes or in ram. */
  readonly keepingLess: readonly (() => Candidate)[];
  /** What it becomes in the next smaller round budget of each tier. */
  readonly inLess: readonly (() => Candidate)[];
  /** `null` where the floor is measured. */
  readonly supposed: SupposedFloor | null;
}

/** A floor that has not been scheduled yet, since it may promise too little for that. */
export class SupposedFloor {
  readonly #measure: () => readonly Candidate[];
  #measured = false;

  constructor(measure: () => readonly Candidate[]) {
    this.#measure = measure;
  }

  get isMeasured(): boolean {
    return this.#measured;
  }

  /** What grows from it as it is; nothing where it does not fit after all. To be asked once. */
  measure(): readonly Candidate[] {
    this.#measured = true;
    return this.#measure();
  }
}

/** How many of what may move together are tried, from the largest down. */
const PORTIONS_TRIED = 4;

/** At least one per floor that fits, of floors that are supposed where a variant knows enough for that. */
export function candidates(variants: readonly Variant[]): readonly Candidate[] {
  return variants.flatMap((variant) => {
    const all = variant.portions;
    const tried = [...all.slice(0, PORTIONS_TRIED - 1), ...all.slice(PORTIONS_TRIED - 1).slice(-1)];
    return tried.flatMap((portion) =>
      widestPlacements(variant).flatMap((placements) => {
        const shapes = placements.map((placement) => ({ ...narrowestFloor(variant, portion), ...placement }));
        const measured = () => grownWithin(variant, shapes, (shape) => measuredGround(variant, shape));
        if (variant.leastWork(shapes[0]!) === null) return measured();
        const supposed = new SupposedFloor(measured);
        return grownWithin(variant, shapes, (shape) => supposedGround(variant, shape, supposed));
      }),
    );
  });
}

/** The floors as they are, with nothing that grows: whether their layouts fit is another question. */
export function plainFloors(variants: readonly Variant[]): readonly Candidate[] {
  return floors(variants).flatMap(({ variant, shape }) => {
    const ground = measuredGround(variant, shape);
    if (ground === null) return [];
    const all = blockClasses(variant.units).map(() => 0);
    const room = { bytes: 0, choice: "evenly" } as const;
    const holding = holdingOf(variant.units, blockClasses(variant.units), shape, all, room);
    const estimate = ground.estimator.estimate(ground.estimator.traffic(shape, holding), NOTHING_KEPT);
    const candidate: Candidate = {
      variant,
      shape,
      ramChoice: "evenly",
      estimate,
      within: () => candidate,
      keepingLess: [],
      inLess: [],
      supposed: null,
    };
    return [candidate];
  });
}

/**
 * What grows from the first shape that fits. Where that leaves weights to be read from disk in every step, so much ram
 * may be better spent on them: then the next one that puts fewer inputs there is grown too.
 */
function grownWithin(
  variant: Variant,
  shapes: readonly Shape[],
  groundOf: (shape: Shape) => Ground | null,
): readonly Candidate[] {
  const found: Candidate[] = [];
  for (const shape of shapes) {
    if (found.length > 0 && shape.adapter !== "resident") continue;
    const ground = groundOf(shape);
    if (ground === null) continue;
    const again = found.length > 0;
    found.push(...grow(variant, ground));
    if (again || !found.every((one) => readsWeights(variant, one.shape))) break;
  }
  return found;
}

function hasRoom(variant: Variant, shape: Shape, bytes: Measured["bytes"]): boolean {
  return tiersOf(shape).every((tier) => bytes[tier] <= arenaBudget(variant.inputs, tier).arena);
}

/** What is remembered of a floor; its schedule, which takes megabytes, is not. */
interface Ground {
  readonly shape: Shape;
  readonly bytes: Measured["bytes"];
  readonly estimator: Estimator;
  readonly supposed: SupposedFloor | null;
}

/** `null` where it does not fit. */
function measuredGround(variant: Variant, shape: Shape): Ground | null {
  if (!hasRoom(variant, shape, variant.leastBytes(shape))) return null;
  const { rolled, bytes } = measure(variant, shape);
  if (!hasRoom(variant, shape, bytes)) return null;
  const estimator = new Estimator(variant, shape, countWork(variant, rolled));
  return { shape, bytes, estimator, supposed: null };
}

/** With all the room that a schedule may leave, and no more work than every schedule has; `null` where it cannot fit. */
function supposedGround(variant: Variant, shape: Shape, supposed: SupposedFloor): Ground | null {
  const bytes = variant.leastBytes(shape);
  if (!hasRoom(variant, shape, bytes)) return null;
  const estimator = new Estimator(variant, shape, leastWork(variant, shape)!);
  return { shape, bytes, estimator, supposed };
}

function grow(variant: Variant, ground: Ground): readonly Candidate[] {
  const wider = widerFloors(variant, ground)
    .map((shape) => widerGround(variant, ground, shape))
    .filter(({ shape, bytes }) => hasRoom(variant, shape, bytes));
  return [
    ...waysToGrow(variant, ground, ringDepths(variant)),
    ...wider.flatMap((one) => waysToGrow(variant, one, [one.shape.ring])),
  ];
}

/** A floor with more pins than another, as if they stood beside all else: rows that need not be read take little. */
function widerGround(variant: Variant, ground: Ground, wider: Shape): Ground {
  const { shape, estimator } = ground;
  const bytes = ground.supposed === null ? ground.bytes : variant.leastBytes(wider);
  const tier = computeArena(wider);
  const pins = wider.pinned
    .filter((unit) => !shape.pinned.includes(unit))
    .reduce((sum, unit) => sum + placeBytes(variant.units, unit), 0);
  const pinned = { ...bytes, [tier]: bytes[tier] + pins };
  const places = placesToPass(variant, wider) - placesToPass(variant, shape);
  const supposed =
    ground.supposed ??
    new SupposedFloor(() => {
      const measured = measuredGround(variant, wider);
      return measured === null ? [] : waysToGrow(variant, measured, [wider.ring]);
    });
  return { shape: wider, bytes: { ...pinned, ram: pinned.ram + places }, estimator, supposed };
}

/** Bytes of the places of ram that units pass through. */
function placesToPass({ units }: Variant, { passing, embedding }: Shape): number {
  return passing * passingBytes(units, new Set(embedding === "gather" ? [units.embedding] : []));
}

function waysToGrow(variant: Variant, ground: Ground, rings: readonly number[]): readonly Candidate[] {
  if (ground.shape.tiers === "disk-ram-vram") return waysThroughRam(variant, ground, rings);
  const deeper = rings.flatMap((ring) => widened(variant, ground, { ring }));
  return deeper.map((one) => grownFrom(variant, one, "evenly"));
}

/**
 * Where vram streams: places of ram that units take turns in, units that stay there evenly, and all that vram streams.
 * Places go with the fewest slots in vram, since what these hold at a turn has to come from disk in a hurry; where a step
 * goes round there is no turn. Block inputs in ram leave the disk too little slack for units that stay there evenly.
 */
function waysThroughRam(variant: Variant, narrowest: Ground, rings: readonly number[]): readonly Candidate[] {
  const round = variant.order === "round";
  const wide = passingSlots(variant.inputs);
  const [ground = narrowest] = wide > 1 ? widened(variant, narrowest, { passing: wide }) : [];
  const deeper = rings.flatMap((ring) => widened(variant, ground, { ring }));
  const inTurn = round ? [] : [grownFrom(variant, ground, "in turn")];
  const staying = deeper.flatMap((one): readonly Candidate[] => {
    const evenly = grownFrom(variant, one, "evenly");
    if (!readsWeights(variant, evenly.shape)) return [evenly];
    const all = grownFrom(variant, one, "all");
    return [
      ...(round || one.shape.offload === 0 ? [evenly] : []),
      ...(readsWeights(variant, all.shape) ? [] : [all]),
    ];
  });
  return [...inTurn, ...staying];
}

/** The same floor with more slots, where there is room for them: they stand beside all else. */
function widened(
  variant: Variant,
  { shape, bytes, estimator, supposed }: Ground,
  more: Partial<Pick<Shape, "ring" | "passing">>,
): readonly Ground[] {
  const wider = { ...shape, ...more };
  const tier = computeArena(shape);
  const slots = ringBytes(variant.units, wider.ring) - ringBytes(variant.units, shape.ring);
  const places = placesToPass(variant, wider) - placesToPass(variant, shape);
  const taken = { ...bytes, [tier]: bytes[tier] + slots };
  const all = { ...taken, ram: taken.ram + places };
  return hasRoom(variant, wider, all) ? [{ shape: wider, bytes: all, estimator, supposed }] : [];
}

/** Whether vram asks the disk for weights in every step, so that it matters what ram keeps. */
function readsWeights({ units }: Variant, shape: Shape): boolean {
  const near = new Set([...shape.pinned, ...shape.ramPinned]);
  return shape.tiers === "disk-ram-vram" && units.blocks.some((unit) => !near.has(unit));
}

/**
 * The embedding may stay, and where there is room for all blocks the head. Of a table that is the head's too it is a
 * second copy, which still spares a read of whole pages for every row.
 */
function widerFloors({ units, inputs }: Variant, { shape, bytes }: Ground): readonly Shape[] {
  const tier = shape.tiers === "disk-ram" ? "ram" : "vram";
  const room = arenaBudget(inputs, tier).arena - bytes[tier];
  const blocks = blockClasses(units);
  const fitting = pinsWithin(blocks, shape, room);
  const withHead = { ...shape, pinned: [...shape.pinned, ...units.head.map(({ unit }) => unit)] };
  const wider = blocks.every(({ members }, index) => fitting[index] === members.length) ? [withHead] : [];
  const withTable = (one: Shape): Shape => {
    return { ...one, pinned: [...one.pinned, units.embedding], embedding: "resident" };
  };
  return [...wider, ...[shape, ...wider].map(withTable)];
}

function grownFrom(variant: Variant, ground: Ground, ramChoice: RamChoice): Candidate {
  const { estimator } = ground;
  const budgets = { ram: arenaBudget(variant.inputs, "ram"), vram: arenaBudget(variant.inputs, "vram") };
  const { perBlock, all } = estimator.activations;
  const blockLess = (kept: number) => Math.max(0, (Math.ceil(kept / perBlock) - 1) * perBlock);
  const candidateIn = (arenas: Room, most: KeptCounts): Candidate => {
    const left = (tier: ArenaName) => Math.max(0, arenas[tier] - ground.bytes[tier]);
    const room = { ram: left("ram"), vram: left("vram") };
    const { shape, estimate } = divide(variant, estimator, {
      floor: ground.shape,
      room,
      most,
      ramChoice,
    });
    const smaller = tiersOf(shape).flatMap((tier) => {
      const { reserve } = budgets[tier];
      const bytes = roundBelow(arenas[tier] + reserve) - reserve;
      return bytes < ground.bytes[tier] ? [] : [{ ...arenas, [tier]: bytes }];
    });
    return {
      variant,
      shape,
      ramChoice,
      estimate,
      supposed: ground.supposed,
      within: (lost) => candidateIn({ ram: arenas.ram - lost.ram, vram: arenas.vram - lost.vram }, most),
      keepingLess: [
        ...(shape.keep > 0 ? [{ ...most, keep: blockLess(shape.keep) }] : []),
        ...(shape.keepInRam > perBlock ? [{ ...most, keepInRam: blockLess(shape.keepInRam) }] : []),
        ...(shape.keepInRam > 0 ? [{ ...most, keepInRam: 0 }] : []),
      ].map((less) => () => candidateIn(arenas, less)),
      inLess: smaller.map((less) => () => candidateIn(less, most)),
    };
  };
  return candidateIn({ ram: budgets.ram.arena, vram: budgets.vram.arena }, { keep: all, keepInRam: all });
}

/** The largest round size below a number of bytes: four to each doubling, such as 8, 10, 12 and 14 GiB. */
export function roundBelow(bytes: number): number {
  if (bytes <= ROUND_SIZES) return 0;
  const step = 2 ** (Math.floor(Math.log2(bytes - 1)) - Math.log2(ROUND_SIZES));
  return Math.floor((bytes - 1) / step) * step;
}

const ROUND_SIZES = 4;
