/**
 * choose-shape: searches micro-batch × unit size × ring depth × what is put aside × how the adapter stays × pinned
 * units × kept activations. The closed form (shape/estimate.ts) ranks the candidates, the simulator decides among the
 * best; what was rejected is kept with its reason. Bounded by the number of floors, never by time.
 *
 * Requires: some floor fits. Guarantees: the chosen shape fits, measured on its exact layout.
 */
import { invariant } from "../../schemas/diagnostic.ts";
import type { ArenaName, Plan } from "../../schemas/plan.ts";
import { alignUp, formatBytes, formatNanoseconds } from "../../schemas/units.ts";
import type { LaidOut, Shape } from "../ir/schedule.ts";
import { PAGE } from "../ir/values.ts";
import type { Variant } from "../ir/variants.ts";
import { type Candidate, candidates } from "../shape/candidates.ts";
import { simulateCandidate } from "../shape/simulate-candidate.ts";
import { arenaBudget, fits } from "./feasible.ts";
import { realizeWork } from "./realize.ts";

export interface ChosenShape<Work extends Variant> {
  readonly variant: Work;
  readonly shape: Shape;
  readonly decisions: Plan["decisions"];
}

/** Of those that are this close to the fastest, the one that moves least is chosen. */
const AS_FAST = 1.002;
/** How often a layout that needs more than its fullest moment is made smaller before the candidate is dropped. */
const CORRECTIONS = 4;

export function chooseShape<Work extends Variant>(variants: readonly Work[]): ChosenShape<Work> {
  const all = candidates(variants);
  const ranked = all.toSorted(
    ({ estimate: a }, { estimate: b }) => a.step_ns - b.step_ns || a.moved - b.moved,
  );
  const finalists = bestOfEachKind(ranked).flatMap((candidate) => {
    const laidOut = laidOutWithin(candidate);
    if (!laidOut) return [];
    // The layout is not kept: those of all finalists together would fill the memory.
    return [{ candidate: laidOut.candidate, time: simulateCandidate(candidate.variant, laidOut.laidOut) }];
  });
  invariant(finalists.length > 0, "no candidate fits, although a floor does");
  const fastest = Math.min(...finalists.map(({ time }) => time));
  const { candidate: best } = finalists
    .filter(({ time }) => time <= fastest * AS_FAST)
    .reduce((a, b) => (b.candidate.estimate.moved < a.candidate.estimate.moved ? b : a));
  const variant = variants.find((one) => one === best.variant)!;
  const simulated = new Map(finalists.map(({ candidate, time }) => [candidate, time]));
  return { variant, shape: best.shape, decisions: decisionsOf(best, ranked, simulated) };
}

/**
 * Who goes to the simulator: the best of each kind. The closed form takes lanes as independent; kinds differ in how far
 * that holds, candidates of a kind hardly do.
 */
function bestOfEachKind(ranked: readonly Candidate[]): readonly Candidate[] {
  const kinds = new Map<string, Candidate>();
  for (const candidate of ranked) {
    const { variant, shape, ramChoice } = candidate;
    const ring = variant.order === "round" ? shape.ring : "";
    const kind = `${shape.unitSize} ${shape.offload > 0} ${ramChoice} ${ring}`;
    if (!kinds.has(kind)) kinds.set(kind, candidate);
  }
  const limit = WORTH_SIMULATING * ranked[0]!.estimate.step_ns;
  return [...kinds.values()].filter(({ estimate }) => estimate.step_ns <= limit);
}

/** A kind whose best estimate is further than this from the best of all is not simulated. */
const WORTH_SIMULATING = 1.1;

/** The candidate on its exact layout; smaller where fragments make it larger than its fullest moment. */
function laidOutWithin(candidate: Candidate): { candidate: Candidate; laidOut: LaidOut } | undefined {
  const { inputs } = candidate.variant;
  let tried = candidate;
  for (let correction = 0; correction < CORRECTIONS; correction++) {
    const laidOut = realizeWork(tried.variant, tried.shape);
    if (fits(inputs, laidOut)) return { candidate: tried, laidOut };
    // Arenas are whole pages, and less room than another unit takes changes nothing: each time a larger step back.
    const over = (tier: ArenaName) => {
      const bytes = Math.max(0, laidOut.arenas[tier].bytes - arenaBudget(inputs, tier).arena);
      return alignUp(bytes, PAGE) * 2 ** correction;
    };
    tried = tried.within({ ram: over("ram"), vram: over("vram") });
  }
  return undefined;
}

type Decision = Plan["decisions"][number];

/** One aspect of a shape that was chosen among several values. */
interface Aspect {
  readonly name: string;
  readonly recipePath: string;
  readonly read: (candidate: Candidate) => string;
  readonly reason: string;
}

function decisionsOf(
  best: Candidate,
  ranked: readonly Candidate[],
  simulated: ReadonlyMap<Candidate, number>,
): Decision[] {
  const byTime = [...simulated].toSorted(([, a], [, b]) => a - b).map(([candidate]) => candidate);
  const all = [...byTime, ...ranked];
  return aspects(best).map(({ name, recipePath, read, reason }): Decision => {
    const chosen = read(best);
    const others = new Map<string, Candidate>();
    for (const candidate of all) {
      const value = read(candidate);
      if (value !== chosen && !others.has(value)) others.set(value, candidate);
    }
    return {
      name,
      chosen,
      reason,
      recipe_path: recipePath,
      alternatives: [...others].slice(0, ALTERNATIVES_SHOWN).map(([value, other]) => ({
        value,
        rejected: rejection(other, best, simulated),
      })),
    };
  });
}

const ALTERNATIVES_SHOWN = 4;

/** By the simulator where both went through it, else by the closed form. */
function rejection(other: Candidate, best: Candidate, simulated: ReadonlyMap<Candidate, number>): string {
  const times = [simulated.get(other), simulated.get(best)];
  const [time, bestTime] = times[0] === undefined ? [other.estimate.step_ns, best.estimate.step_ns] : times;
  const by = times[0] === undefined ? "by the closed form" : "simulated";
  const traffic = [other, best].map(({ estimate }) => formatBytes(estimate.moved));
  const less = other.estimate.moved < best.estimate.moved;
  if (!less && time! <= bestTime! * AS_FAST)
    return `no faster, and ${traffic[0]} of traffic, not ${traffic[1]}`;
  const moving = less ? `, moving ${traffic[0]}, not ${traffic[1]}` : "";
  return `${formatNanoseconds(time!)} a step ${by}, not ${formatNanoseconds(bestTime!)}${moving}`;
}

function aspects({ variant, shape }: Candidate): readonly Aspect[] {
  const blocks = variant.units.blocks.length;
  const onDevice = shape.tiers === "disk-ram-vram";
  const portion = variant.portionText;
  const keeps = variant.savedBytes(shape).length > 0;
  return [
    {
      name: "units",
      recipePath: "memory",
      read: (candidate) => (candidate.shape.unitSize === "block" ? "whole blocks" : "stages of blocks"),
      reason: "what moves together",
    },
    {
      name: "residency",
      recipePath: "memory",
      read: residencyText,
      reason:
        shape.pinned.length > blocks
          ? "the memory is there"
          : "each pinned unit saves its loads in each step; the rest of the memory serves elsewhere or is too small for another",
    },
    ...(onDevice ? [ram] : []),
    ...(keeps ? [activations] : []),
    ...(onDevice && variant.offloads.length > 1 ? [blockInputs] : []),
    ...(onDevice ? [adapter] : []),
    {
      name: portion.name,
      recipePath: portion.recipePath,
      read: (candidate) => portion.value(candidate.shape),
      reason: portion.reason,
    },
  ];
}

const activations: Aspect = {
  name: "activations",
  recipePath: "memory",
  read: ({ shape, variant }) => `${shape.keep} of ${variant.units.blocks.length} units keep theirs`,
  reason: "kept activations save recomputation, as far as streaming stays hidden",
};

const ram: Aspect = {
  name: "ram",
  recipePath: "memory.ram",
  read: ramText,
  reason: "what ram holds need not come from disk; where the disk would be late, time comes before traffic",
};

const blockInputs: Aspect = {
  name: "block inputs",
  recipePath: "memory.vram",
  read: ({ shape, variant }) => `${shape.offload} of ${variant.units.blocks.length} wait in ram`,
  reason: "what waits in ram leaves room in vram, and crosses the link twice",
};

const adapter: Aspect = {
  name: "adapter",
  recipePath: "memory.vram",
  read: ({ shape }) => `${shape.adapter} in vram`,
  reason: "a streamed adapter needs the room of two blocks' parts, and crosses the link twice a step",
};

function residencyText({ shape, variant }: Candidate): string {
  const streaming = streamingBlocks({ shape, variant }).length;
  if (streaming <= shape.ring) return "all blocks resident";
  return `${variant.units.blocks.length - streaming} pinned, ring of ${shape.ring}`;
}

function ramText(candidate: Candidate): string {
  const { ramPinned, ramRings } = candidate.shape;
  const streaming = streamingBlocks(candidate);
  const kept = streaming.filter((unit) => ramPinned.includes(unit)).length;
  const places = ramRings.map(({ unitClass, slots }) => `${slots} of ${unitClass}`);
  if (places.length > 0) return `units take turns in places: ${places.join(", ")}`;
  return `${kept} of ${streaming.length} streamed units stay`;
}

function streamingBlocks({ shape, variant }: Pick<Candidate, "shape" | "variant">): readonly string[] {
  const pinned = new Set(shape.pinned);
  return variant.units.blocks.filter((unit) => !pinned.has(unit));
}
