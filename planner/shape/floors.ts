/**
 * Floors: the shapes that every other one grows from. A floor pins nothing but the norm and keeps no activations; what
 * it decides is what moves together and where things wait.
 */
import type { CommonInputs } from "../../schemas/inputs.ts";
import type { Shape } from "../ir/schedule.ts";
import type { Portion, Variant } from "../ir/variants.ts";

export interface Floor {
  readonly variant: Variant;
  readonly shape: Shape;
}

/** Slots that let a unit load while another computes; a third hides jitter. */
export function ringDepths({ unitSize }: Variant): readonly number[] {
  // Stages alternate between the slots of two classes, so that one of each is enough.
  return unitSize === "block" ? [3, 2] : [2, 1];
}

/** A floor with everything that costs memory, where it costs least time. */
export function widestFloor(variant: Variant, portion: Portion): Shape {
  const { units, inputs } = variant;
  const tiers = inputs.recipe.memory.vram === null ? "disk-ram" : "disk-ram-vram";
  return {
    tiers,
    unitSize: variant.unitSize,
    ...portion,
    pinned: [units.norm],
    ring: ringDepths(variant)[0]!,
    ramPinned: [],
    ramRings: [],
    passing: tiers === "disk-ram" ? 0 : passingSlots(inputs),
    keep: 0,
    keepInRam: 0,
    offload: 0,
    adapter: "resident",
    embedding: "gather",
  };
}

/** The same with the fewest slots. */
export function narrowestFloor(variant: Variant, portion: Portion): Shape {
  const widest = widestFloor(variant, portion);
  return { ...widest, ring: ringDepths(variant).at(-1)!, passing: Math.min(1, widest.passing) };
}

/**
 * Slots of ram that units pass through on their way from disk: a second one lets the disk go on while the first is
 * copied to vram, which matters only where that takes long beside the read.
 */
export function passingSlots({ hardware: { disk, links } }: CommonInputs): number {
  return links && disk.bandwidth * LINK_IS_QUICK < links.h2d_bandwidth ? 1 : 2;
}

const LINK_IS_QUICK = 8;

/** With a vram tier: ways to move memory from vram to ram, from none to all. */
export function placements({ inputs, offloads }: Variant): readonly Pick<Shape, "offload" | "adapter">[] {
  if (inputs.recipe.memory.vram === null) return [{ offload: 0, adapter: "resident" }];
  return offloads.flatMap((offload) =>
    (["resident", "streamed"] as const).map((adapter) => ({ offload, adapter })),
  );
}

/**
 * What the search tries, each list from the placement that takes most vram down to the first that fits: block inputs
 * in vram, and block inputs in ram. An adapter that is streamed moves as much as the pins that its room would serve, so
 * it is tried only where the resident one does not fit.
 */
export function widestPlacements(
  variant: Variant,
): readonly (readonly Pick<Shape, "offload" | "adapter">[])[] {
  const all = placements(variant);
  const last = Math.max(...all.map(({ offload }) => offload));
  const away = all.filter(({ offload }) => offload > 0);
  return last === 0
    ? [all]
    : [all.filter(({ offload }) => offload === 0), away.toSorted((a, b) => b.offload - a.offload)];
}

/** The smallest floors: one of them needs least of each tier. */
export function floors(variants: readonly Variant[]): readonly Floor[] {
  return variants.flatMap((variant) => {
    const smallest = narrowestFloor(variant, variant.portions.at(-1)!);
    return placements(variant).map((placement) => ({ variant, shape: { ...smallest, ...placement } }));
  });
}
