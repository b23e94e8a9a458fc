/**
 * Candidates: every floor that fits, grown into the memory that it leaves. The closed form divides that memory between
 * pinned weights (less traffic) and kept activations (less recomputation).
 */
import type { ArenaName } from "../../schemas/plan.ts";
import type { Shape } from "../ir/schedule.ts";
import { computeArena } from "../ir/values.ts";
import type { Variant } from "../ir/variants.ts";
import { arenaBudget, tiersOf } from "../passes/feasible.ts";
import { type Measured, measure } from "../passes/realize.ts";
import { type Estimate, Estimator } from "./estimate.ts";
import { blocksWithin } from "./fill-memory.ts";
import { type RamChoice, ramWithin } from "./fill-ram.ts";
import { ringChoices, ringDepths, widestFloor, widestPlacements } from "./floors.ts";

/** Bytes that each tier has to spare. */
export type Room = Readonly<Record<ArenaName, number>>;

export interface Candidate {
  readonly variant: Variant;
  readonly shape: Shape;
  readonly ramChoice: RamChoice;
  readonly estimate: Estimate;
  /** The same candidate in less room, for when its layout turns out to need more than its fullest moment. */
  readonly within: (lost: Room) => Candidate;
}

/** How many of what may move together are tried, from the largest down. */
const PORTIONS_TRIED = 4;

/** At least one per floor that fits. */
export function candidates(variants: readonly Variant[]): readonly Candidate[] {
  return variants.flatMap((variant) => {
    const all = variant.portions;
    const tried = [...all.slice(0, PORTIONS_TRIED - 1), ...all.slice(PORTIONS_TRIED - 1).slice(-1)];
    return tried.flatMap((portion) =>
      widestPlacements(variant).flatMap((placements) =>
        ringChoices(variant).flatMap((rings) => {
          for (const shape of shapesFrom(widestFloor(variant, portion), placements, rings)) {
            if (variant.leastBytes(shape) > arenaBudget(variant.inputs, computeArena(shape)).arena) continue;
            const measured = measure(variant, shape);
            if (hasRoom(variant, measured)) return grow(variant, measured);
          }
          return [];
        }),
      ),
    );
  });
}

type Placement = Pick<Shape, "offload" | "adapter">;

/** Floors from the one that takes most memory down. */
function* shapesFrom(
  widest: Shape,
  placements: readonly Placement[],
  rings: readonly number[],
): Generator<Shape> {
  for (const placement of placements) {
    for (const ring of rings) {
      for (const passing of widest.passing > 1 ? [widest.passing, 1] : [widest.passing]) {
        yield { ...widest, ...placement, ring, passing };
      }
    }
  }
}

function hasRoom(variant: Variant, { rolled, bytes }: Measured): boolean {
  return tiersOf(rolled.shape).every((tier) => bytes[tier] <= arenaBudget(variant.inputs, tier).arena);
}

/** What is remembered of a floor; its schedule, which takes megabytes, is not. */
interface Ground {
  readonly shape: Shape;
  readonly bytes: Measured["bytes"];
  readonly estimator: Estimator;
}

function groundOf(variant: Variant, { rolled, bytes }: Measured): Ground {
  return { shape: rolled.shape, bytes, estimator: new Estimator(variant, rolled) };
}

function grow(variant: Variant, floor: Measured): readonly Candidate[] {
  const ground = groundOf(variant, floor);
  const first = grownFrom(variant, ground, variant.order === "round" ? "evenly" : "in turn");
  const wider = widerFloors(variant, floor)
    .map((shape) => measure(variant, shape))
    .filter((measured) => hasRoom(variant, measured))
    .map((measured) => grownFrom(variant, groundOf(variant, measured), first.ramChoice));
  return [...(readsWeights(variant, first.shape) ? waysThroughRam(variant, ground) : [first]), ...wider];
}

/**
 * Where the disk feeds vram. Places of ram that units take turns in go with the fewest slots in vram, since what these
 * hold at a turn has to come from disk in a hurry; where a step goes round there is no turn. Block inputs in ram leave
 * the disk too little slack for units that stay there evenly.
 */
function waysThroughRam(variant: Variant, ground: Ground): readonly Candidate[] {
  const { shape } = ground;
  const round = variant.order === "round";
  const all = grownFrom(variant, ground, "all");
  return [
    ...(round ? [] : [grownFrom(variant, narrowest(variant, ground), "in turn")]),
    ...(round || shape.offload === 0 ? [grownFrom(variant, ground, "evenly")] : []),
    ...(readsWeights(variant, all.shape) ? [] : [all]),
  ];
}

function narrowest(variant: Variant, ground: Ground): Ground {
  const ring = ringDepths(variant).at(-1)!;
  if (ground.shape.ring === ring) return ground;
  return groundOf(variant, measure(variant, { ...ground.shape, ring }));
}

/** Whether vram asks the disk for weights in every step, so that it matters what ram keeps. */
function readsWeights({ units }: Variant, shape: Shape): boolean {
  const near = new Set([...shape.pinned, ...shape.ramPinned]);
  return shape.tiers === "disk-ram-vram" && units.blocks.some((unit) => !near.has(unit));
}

/** With two tiers the embedding may stay, and where there is room for all blocks the head. */
function widerFloors(variant: Variant, floor: Measured): readonly Shape[] {
  const { units, inputs } = variant;
  const { shape } = floor.rolled;
  const tier = shape.tiers === "disk-ram" ? "ram" : "vram";
  const room = arenaBudget(inputs, tier).arena - floor.bytes[tier];
  const all = new Set(units.blocks);
  const fitting = blocksWithin(units, { bytes: room, ring: shape.ring, candidates: all });
  const withHead = { ...shape, pinned: [...shape.pinned, ...units.head.map(({ unit }) => unit)] };
  const wider = fitting.length < all.size ? [] : [withHead];
  // A generation reads a row of the table for every token: where there is room, a second copy of a tied one pays.
  const worthIt = inputs.model.embedding !== inputs.model.head || inputs.model.generation !== null;
  if (shape.tiers !== "disk-ram" || !worthIt) return wider;
  const withTable = (one: Shape): Shape => {
    return { ...one, pinned: [...one.pinned, units.embedding], embedding: "resident" };
  };
  return [...wider, ...[shape, ...wider].map(withTable)];
}

function grownFrom(variant: Variant, ground: Ground, ramChoice: RamChoice): Candidate {
  const { estimator } = ground;
  const candidateIn = (lost: Room): Candidate => {
    const left = (tier: ArenaName) => {
      return Math.max(0, arenaBudget(variant.inputs, tier).arena - ground.bytes[tier] - lost[tier]);
    };
    const room = { ram: left("ram"), vram: left("vram") };
    const shape = divide(variant, estimator, ground.shape, room, ramChoice);
    const within = (more: Room) => candidateIn({ ram: lost.ram + more.ram, vram: lost.vram + more.vram });
    return { variant, shape, ramChoice, estimate: estimator.estimate(shape), within };
  };
  return candidateIn({ ram: 0, vram: 0 });
}

/** The best division of the room between pins and kept activations. */
function divide(
  variant: Variant,
  estimator: Estimator,
  floor: Shape,
  room: Room,
  ramChoice: RamChoice,
): Shape {
  const saved = variant.savedBytes(floor);
  const bytes = floor.tiers === "disk-ram" ? room.ram : room.vram;
  let best: { shape: Shape; estimate: Estimate } | undefined;
  let kept = 0;
  for (let keep = 0; kept <= bytes && keep <= saved.length; keep++) {
    const shape = pin(variant, { ...floor, keep }, bytes - kept, room.ram, ramChoice);
    const estimate = estimator.estimate(shape);
    const allowed = ramChoice !== "all" || !readsWeights(variant, shape);
    if (!best || (allowed && isBetter(estimate, best.estimate))) best = { shape, estimate };
    kept += saved[saved.length - 1 - keep] ?? Number.POSITIVE_INFINITY;
  }
  return best!.shape;
}

function pin({ units }: Variant, shape: Shape, bytes: number, ramBytes: number, ramChoice: RamChoice): Shape {
  const blocks = blocksWithin(units, { bytes, ring: shape.ring, candidates: new Set(units.blocks) });
  const pinned = { ...shape, pinned: [...new Set([...shape.pinned, ...blocks])] };
  return shape.tiers === "disk-ram"
    ? pinned
    : { ...pinned, ...ramWithin(units, pinned, ramBytes, ramChoice) };
}

/** Less time; the same time with less traffic. */
export function isBetter(a: Estimate, b: Estimate): boolean {
  return a.step_ns < b.step_ns || (a.step_ns === b.step_ns && a.moved < b.moved);
}
