/**
 * feasible: whether any shape fits the budgets.
 *
 * Guarantees: returns normally when the smallest shape fits; else a diagnostic with the peak moment, the five largest
 * buffers alive then, and the smallest budget that fits, exact to the byte.
 */
import { type Diagnostic, diagnostic } from "../../schemas/diagnostic.ts";
import type { Inputs } from "../../schemas/inputs.ts";
import type { ArenaName, PlanBuffer } from "../../schemas/plan.ts";
import { formatBytes } from "../../schemas/units.ts";
import type { LaidOut, Shape } from "../ir/schedule.ts";
import type { Units } from "../ir/units.ts";
import { realize } from "./realize.ts";

const LARGEST_SHOWN = 5;

/** Smallest micro-batch, nothing pinned but the norm, two slots per tier, everything recomputed. */
export function smallestShape(inputs: Inputs, units: Units): Shape {
  const { micro_batch } = inputs.recipe.training;
  const tiers = inputs.recipe.memory.vram === null ? "disk-ram" : "disk-ram-vram";
  const streaming = units.blocks.length + units.head.length;
  return {
    tiers,
    microBatch: micro_batch === "auto" ? 1 : micro_batch,
    pinned: [units.norm],
    ring: Math.min(2, streaming),
    ramSlots: tiers === "disk-ram" ? 0 : Math.min(2, streaming),
    keep: 0,
    embedding: "gather",
  };
}

/** Bytes that a tier's arena may take, and what the budget sets aside for the process. */
export function arenaBudget(
  inputs: Inputs,
  arena: ArenaName,
): { budget: number; reserve: number; arena: number } {
  const { memory } = inputs.recipe;
  const budget = memory[arena] ?? 0;
  const reserve = memory.reserve[arena] ?? inputs.hardware.reserve[arena] ?? 0;
  return { budget, reserve, arena: Math.max(0, budget - reserve) };
}

export function fits(inputs: Inputs, { arenas, shape }: LaidOut): boolean {
  return tiersOf(shape).every((tier) => arenas[tier].bytes <= arenaBudget(inputs, tier).arena);
}

export function feasible(inputs: Inputs, units: Units): readonly Diagnostic[] {
  const smallest = realize(inputs, units, smallestShape(inputs, units));
  return tiersOf(smallest.shape).flatMap((tier) => {
    const { budget, reserve, arena } = arenaBudget(inputs, tier);
    const needed = smallest.arenas[tier].bytes;
    if (needed <= arena) return [];
    const { moment, alive } = peak(smallest, tier);
    const largest = alive
      .slice(0, LARGEST_SHOWN)
      .map(({ id, bytes }) => `  ${formatBytes(bytes).padStart(9)}  ${id}`);
    return [
      diagnostic("plan.does-not-fit", {
        summary: `${tier} budget of ${formatBytes(budget)} is too small: at least ${needed + reserve} bytes (${formatBytes(needed + reserve)}) are needed`,
        detail: [
          `arena ${formatBytes(needed)} + reserve ${formatBytes(reserve)} for the process and its libraries`,
          `peak at ${moment}; the largest buffers alive then:`,
          ...largest,
        ].join("\n"),
        where: { file: "recipe", path: `memory.${tier}` },
        hint: `set memory.${tier} to ${needed + reserve} or more, or lower sequence.length, training.batch_size or adapter.rank`,
      }),
    ];
  });
}

export function tiersOf(shape: Shape): readonly ArenaName[] {
  return shape.tiers === "disk-ram" ? ["ram"] : ["ram", "vram"];
}

/** The serial position with the most live bytes, and what is alive there, largest first. */
function peak(laidOut: LaidOut, tier: ArenaName): { moment: string; alive: readonly PlanBuffer[] } {
  const tasks = laidOut.parts["train-step"].steady;
  const here = laidOut.buffers.filter(
    ({ arena, lifetime }) => arena === tier && (lifetime?.program ?? "train-step") === "train-step",
  );
  const aliveAt = (index: number) =>
    here.filter(({ lifetime }) => !lifetime || (lifetime.start <= index && index < lifetime.end));
  const bytesAt = (index: number) => aliveAt(index).reduce((sum, { bytes }) => sum + bytes, 0);
  let best = 0;
  tasks.forEach((_, index) => {
    if (bytesAt(index) > bytesAt(best)) best = index;
  });
  return { moment: tasks[best]!.id, alive: aliveAt(best).toSorted((a, b) => b.bytes - a.bytes) };
}
