/**
 * choose-shape: searches micro-batch × unit size × ring depth × what is put aside × how the adapter stays × pinned
 * units × kept activations. The closed form (shape/estimate.ts) ranks the candidates, the simulator decides among the
 * best; what was rejected is kept with its reason. Bounded by the number of floors, never by time.
 *
 * Requires: some floor fits. Guarantees: the chosen shape fits, measured on its exact layout.
 */
import { invariant } from "../../schemas/diagnostic.ts";
import type { ArenaName } from "../../schemas/plan.ts";
import { alignUp } from "../../schemas/units.ts";
import type { LaidOut, Shape } from "../ir/schedule.ts";
import { PAGE } from "../ir/values.ts";
import type { Variant } from "../ir/variants.ts";
import { type Candidate, candidates } from "../shape/candidates.ts";
import { type Choice, choiceOf } from "../shape/choice.ts";
import { simulateCandidate } from "../shape/simulate-candidate.ts";
import { arenaBudget, fits } from "./feasible.ts";
import { realizeWork } from "./realize.ts";

export interface ChosenShape<Work extends Variant> {
  readonly variant: Work;
  readonly shape: Shape;
  readonly choice: Choice;
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
  return { variant, shape: best.shape, choice: choiceOf(best, ranked, simulated) };
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
