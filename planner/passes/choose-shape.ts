/**
 * choose-shape: the simple rule. In order, as long as the exact layout fits the budgets:
 *   1. pin as many units as possible (evenly spaced blocks, then the head, then the embedding table), the rest taking
 *      turns in a ring of three slots, or of two where three do not fit;
 *   2. with everything resident, keep the activations of as many of the last blocks as possible instead of recomputing;
 *   3. move as many sequences together as the first two leave room for.
 *
 * Guarantees: the chosen shape fits; rejected alternatives are kept with their reason. More memory never pins less.
 */
import type { Inputs } from "../../schemas/inputs.ts";
import type { Plan } from "../../schemas/plan.ts";
import type { Shape } from "../ir/schedule.ts";
import type { Units } from "../ir/units.ts";
import { fits, smallestShape } from "./feasible.ts";
import { realize } from "./realize.ts";

export interface ChosenShape {
  readonly shape: Shape;
  readonly decisions: Plan["decisions"];
}

type Decision = Plan["decisions"][number];

export function chooseShape(inputs: Inputs, units: Units): ChosenShape {
  const smallest = smallestShape(inputs, units);
  const fitting = (shape: Shape) => fits(inputs, realize(inputs, units, shape));
  const { shape: pinned, decision: residency } = choosePins(inputs, units, smallest, fitting);
  const everything = pinned.ring === 0;
  const layers = units.blocks.length;
  const keep = everything ? largest(layers, (count) => fitting({ ...pinned, keep: count })) : 0;
  const kept = { ...pinned, keep };
  const { shape, decision: microBatch } = chooseMicroBatch(inputs, kept, fitting);
  const withRam = shape.tiers === "disk-ram" ? shape : widenRam(units, shape, fitting);
  return {
    shape: withRam,
    decisions: [
      residency,
      {
        name: "activations",
        chosen: `${keep} of ${layers} blocks keep theirs`,
        reason: everything
          ? "the largest number that fits"
          : "weights still stream, so memory goes to them first",
        recipe_path: "memory",
        alternatives:
          keep < layers
            ? [{ value: `${keep + 1} blocks`, rejected: everything ? "does not fit" : "not tried" }]
            : [],
      },
      microBatch,
    ],
  };
}

function choosePins(
  inputs: Inputs,
  units: Units,
  smallest: Shape,
  fitting: (shape: Shape) => boolean,
): { shape: Shape; decision: Decision } {
  const levels = pinLevels(inputs, units, smallest);
  const alternatives: Decision["alternatives"] = [];
  for (const ring of [3, 2]) {
    const shapes = levels.map(({ pinned, streaming, embedding }): Shape => {
      const slots = streaming === 0 ? 0 : Math.min(ring, streaming);
      return { ...smallest, pinned, embedding, ring: slots };
    });
    const level = largest(shapes.length - 1, (index) => fitting(shapes[index]!));
    const shape = shapes[level]!;
    if (level === 0 && !fitting(shape)) {
      alternatives.push({ value: `ring of ${ring}`, rejected: "does not fit" });
      continue;
    }
    if (level < shapes.length - 1) {
      alternatives.push({
        value: `${shapes[level + 1]!.pinned.length} pinned units`,
        rejected: "does not fit",
      });
    }
    const chosen =
      shape.ring === 0 ? "everything resident" : `${shape.pinned.length} pinned, ring of ${shape.ring}`;
    const reason = "the most units that fit; every pinned unit saves its loads in each step";
    return { shape, decision: { name: "residency", chosen, reason, recipe_path: "memory", alternatives } };
  }
  return {
    shape: smallest,
    decision: {
      name: "residency",
      chosen: "the smallest shape",
      reason: "nothing larger fits",
      recipe_path: "memory",
      alternatives,
    },
  };
}

interface PinLevel {
  readonly pinned: readonly string[];
  /** Units left to stream. */
  readonly streaming: number;
  readonly embedding: Shape["embedding"];
}

/** From nothing pinned to everything, each level needing more memory than the one before. */
function pinLevels(inputs: Inputs, units: Units, smallest: Shape): readonly PinLevel[] {
  const layers = units.blocks.length;
  const head = units.head.map(({ unit }) => unit);
  const levels: PinLevel[] = [];
  for (let count = 0; count < layers + head.length; count++) {
    const blocks = evenlySpaced(units.blocks, Math.min(count, layers));
    const chunks = head.slice(0, Math.max(0, count - layers));
    const streaming = layers + head.length - count;
    levels.push({ pinned: [units.norm, ...blocks, ...chunks], streaming, embedding: "gather" });
  }
  const all = [units.norm, ...units.blocks, ...head];
  levels.push({ pinned: all, streaming: 0, embedding: "gather" });
  const tied = inputs.model.embedding === inputs.model.head;
  if (smallest.tiers === "disk-ram" && !tied) {
    levels.push({ pinned: [...all, units.embedding], streaming: 0, embedding: "resident" });
  }
  return levels;
}

/** `count` of the items, as evenly spaced as possible: as fast as a rolling window, where neighbours are not. */
function evenlySpaced<Item>(items: readonly Item[], count: number): readonly Item[] {
  return Array.from(
    { length: count },
    (_, index) => items[Math.floor(((index + 0.5) * items.length) / count)]!,
  );
}

function chooseMicroBatch(
  inputs: Inputs,
  shape: Shape,
  fitting: (shape: Shape) => boolean,
): { shape: Shape; decision: Decision } {
  const { batch_size, micro_batch } = inputs.recipe.training;
  const decide = (value: number, reason: string, alternatives: Decision["alternatives"]) => ({
    shape: { ...shape, microBatch: value },
    decision: {
      name: "micro-batch",
      chosen: String(value),
      reason,
      recipe_path: "training.micro_batch",
      alternatives,
    },
  });
  if (micro_batch !== "auto") return decide(micro_batch, "the recipe says so", []);
  const divisors = Array.from({ length: batch_size }, (_, index) => batch_size - index).filter(
    (n) => batch_size % n === 0,
  );
  const rejected: Decision["alternatives"] = [];
  for (const value of divisors) {
    if (value === shape.microBatch || fitting({ ...shape, microBatch: value })) {
      return decide(
        value,
        "the largest that leaves the residency as it is; weight traffic does not depend on it",
        rejected,
      );
    }
    rejected.push({ value: String(value), rejected: "does not fit beside the pinned units" });
  }
  return decide(shape.microBatch, "the smallest", rejected);
}

/** As many ram slots as fit: each saves disk reads. */
function widenRam(units: Units, shape: Shape, fitting: (shape: Shape) => boolean): Shape {
  const streaming = units.all.filter(
    ({ id, kind }) => kind !== "embedding" && !shape.pinned.includes(id),
  ).length;
  const extra = largest(Math.max(0, streaming - shape.ramSlots), (count) =>
    fitting({ ...shape, ramSlots: shape.ramSlots + count }),
  );
  return { ...shape, ramSlots: shape.ramSlots + extra };
}

/** The largest n in [0, limit] for which `holds`, given that it holds for all smaller ones; 0 if for none. */
function largest(limit: number, holds: (count: number) => boolean): number {
  let low = 0;
  let high = limit;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (holds(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
