/**
 * feasible: whether any shape fits the budgets.
 *
 * Guarantees: returns normally when a floor (a shape that pins nothing and keeps nothing) fits; else a diagnostic for
 * each tier that is too small, with the peak moment, the five largest buffers alive then, and the smallest budget that
 * fits, exact to the byte. What all of them say fits together.
 */
import { type Diagnostic, diagnostic } from "../../schemas/diagnostic.ts";
import type { CommonInputs } from "../../schemas/inputs.ts";
import type { ArenaName, PlanBuffer } from "../../schemas/plan.ts";
import { formatBytes } from "../../schemas/units.ts";
import type { LaidOut, Shape } from "../ir/schedule.ts";
import type { Variant } from "../ir/variants.ts";
import { type Floor, floors, narrowestFloor, placements } from "../shape/floors.ts";
import { realizeWork } from "./realize.ts";

const LARGEST_SHOWN = 5;

/** Bytes that a tier's arena may take, and what the budget sets aside for the process. */
export function arenaBudget(
  inputs: CommonInputs,
  arena: ArenaName,
): { budget: number; reserve: number; arena: number } {
  const { memory } = inputs.recipe;
  const budget = memory[arena] ?? 0;
  const reserve = memory.reserve[arena] ?? inputs.hardware.reserve[arena] ?? 0;
  return { budget, reserve, arena: Math.max(0, budget - reserve) };
}

export function fits(inputs: CommonInputs, { arenas, shape }: LaidOut): boolean {
  return tiersOf(shape).every((tier) => arenas[tier].bytes <= arenaBudget(inputs, tier).arena);
}

export function feasible(variants: readonly Variant[]): readonly Diagnostic[] {
  const { inputs, levers } = variants[0]!;
  const { variant, shape } = quickest(variants[0]!);
  if (fits(inputs, realizeWork(variant, shape))) return [];
  const known: LaidOut[] = [];
  for (const { variant, shape } of floors(variants)) {
    const floor = realizeWork(variant, shape);
    if (fits(inputs, floor)) return [];
    known.push(floor);
  }
  const limit = (tier: ArenaName) => arenaBudget(inputs, tier).arena;
  const lacking = tiersOf(known[0]!.shape).flatMap((tier) => {
    const smallest = smallestFor(known, tier, limit);
    return smallest.arenas[tier].bytes <= limit(tier) ? [] : [{ tier, smallest }];
  });
  return lacking.map(({ tier, smallest }) => {
    const enough = lacking.find((one) => smallest.arenas[one.tier].bytes <= limit(one.tier));
    const alone = enough ? ` (${enough.tier} is enough then)` : "";
    return doesNotFit(inputs, smallest, tier, { alone, levers });
  });
}

/** Of all floors the one with the fewest tasks: most budgets have room for it. */
function quickest(variant: Variant): Floor {
  const { portions } = variant;
  return { variant, shape: { ...narrowestFloor(variant, portions[0]!), ...placements(variant)[0] } };
}

/**
 * The floor that needs least of a tier, among those that the other tier has room for. Where that has room for none, it has
 * to grow too, and both tiers get the same floor: the one that needs least of the other tier if this one has room for
 * any, else least vram.
 */
export function smallestFor(
  all: readonly LaidOut[],
  tier: ArenaName,
  limit: (tier: ArenaName) => number,
): LaidOut {
  const least = (among: readonly LaidOut[], of: ArenaName) =>
    among.reduce((a, b) => (lessMemory(b, a, of) ? b : a));
  const within = (one: ArenaName) => all.filter(({ arenas }) => arenas[one].bytes <= limit(one));
  const other = tiersOf(all[0]!.shape).find((one) => one !== tier);
  if (other === undefined) return least(all, tier);
  const possible = within(other);
  if (possible.length > 0) return least(possible, tier);
  const here = within(tier);
  return here.length > 0 ? least(here, other) : least(all, "vram");
}

/** Less of a tier; as much of it, and less of the other. */
function lessMemory(a: LaidOut, b: LaidOut, tier: ArenaName): boolean {
  const other = tier === "ram" ? "vram" : "ram";
  const more = a.arenas[tier].bytes - b.arenas[tier].bytes;
  return more < 0 || (more === 0 && a.arenas[other].bytes < b.arenas[other].bytes);
}

function doesNotFit(
  inputs: CommonInputs,
  smallest: LaidOut,
  tier: ArenaName,
  { alone, levers }: { alone: string; levers: string },
): Diagnostic {
  const { budget, reserve } = arenaBudget(inputs, tier);
  const needed = smallest.arenas[tier].bytes;
  const { moment, alive } = peak(smallest, tier);
  const largest = alive
    .slice(0, LARGEST_SHOWN)
    .map(({ id, bytes }) => `  ${formatBytes(bytes).padStart(9)}  ${id}`);
  return diagnostic("plan.does-not-fit", {
    summary: `${tier} budget of ${formatBytes(budget)} is too small: at least ${needed + reserve} bytes (${formatBytes(needed + reserve)}) are needed`,
    detail: [
      `arena ${formatBytes(needed)} + reserve ${formatBytes(reserve)} for the process and its libraries`,
      `peak at ${moment}; the largest buffers alive then:`,
      ...largest,
    ].join("\n"),
    where: { file: "recipe", path: `memory.${tier}` },
    hint: `set memory.${tier} to ${needed + reserve} or more${alone}, or lower ${levers}`,
  });
}

export function tiersOf(shape: Shape): readonly ArenaName[] {
  return shape.tiers === "disk-ram" ? ["ram"] : ["ram", "vram"];
}

/** The serial position with the most live bytes, and what is alive there, largest first. */
function peak(laidOut: LaidOut, tier: ArenaName): { moment: string; alive: readonly PlanBuffer[] } {
  const { cycle } = laidOut;
  const { prologue, steady } = laidOut.parts[cycle]!;
  const tasks = [...prologue, ...steady];
  const here = laidOut.buffers.filter(
    ({ arena, lifetime }) => arena === tier && (lifetime?.program ?? cycle) === cycle,
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
