/**
 * choose-shape: searches micro-batch × unit size × ring depth × what is put aside × how the adapter stays × pinned
 * units × kept activations. The closed form (shape/estimate.ts) ranks the candidates, the time of their schedules
 * (shape/time-schedule.ts) those that promise most, and the simulator decides; the best of what was rejected is kept.
 * Bounded by the number of schedules, never by time.
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
import { timeSchedule } from "../shape/time-schedule.ts";
import { arenaBudget, fits } from "./feasible.ts";
import { realizeWork, scheduleWork } from "./realize.ts";

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
  const ranked = candidates(variants).toSorted(
    ({ estimate: a }, { estimate: b }) => a.step_ns - b.step_ns || a.moved - b.moved,
  );
  const ordered = timed(ranked);
  const best = decide(ordered);
  const variant = variants.find((one) => one === best.candidate.variant)!;
  const shown = [best, ...ordered.slice(0, TIMES_SHOWN)];
  const times = new Map(shown.toReversed().map(({ candidate, time }) => [candidate, time]));
  return { variant, shape: best.candidate.shape, choice: choiceOf(best.candidate, ranked, times) };
}

/** Of the candidates that lost by the time of their schedules, so many are listed. */
const TIMES_SHOWN = 5;

interface Timed {
  readonly candidate: Candidate;
  /** Nanoseconds a step. */
  readonly time: number;
}

/**
 * Candidates by the time of their schedules, those that promise most first, until the rest promises less than the fastest
 * has. What a candidate would be with less memory is a candidate too, as it was under the smaller budget, so that more
 * memory is not slower; its closed form is taken to be as far off as that of the one that it comes from.
 */
function timed(ranked: readonly Candidate[]): readonly Timed[] {
  const known = new Map<string, Timed>();
  const queue = ranked.map((candidate): Promising => {
    const { step_ns } = candidate.estimate;
    return { ns: CLOSED_FORM_MARGIN * step_ns, off: CLOSED_FORM_MARGIN, candidateOf: () => candidate };
  });
  let fastest = Number.POSITIVE_INFINITY;
  while (queue.length > 0 && known.size < MOST_TIMED) {
    const { ns, off, candidateOf } = queue.shift()!;
    if (ns > fastest * WORTH_TIMING) break;
    const candidate = candidateOf();
    const promised = candidate.estimate.step_ns * off;
    if (promised > ns) {
      enqueue(queue, { ns: promised, off, candidateOf: () => candidate });
      continue;
    }
    const { variant, shape, estimate } = candidate;
    const key = `${variant.unitSize} ${JSON.stringify(shape)}`;
    if (known.has(key)) continue;
    const time = timeSchedule(variant, scheduleWork(variant, shape));
    fastest = Math.min(fastest, time);
    known.set(key, { candidate, time });
    const lessersOff = Math.max(1, time / estimate.step_ns);
    for (const lesser of candidate.lesser) {
      enqueue(queue, { ns: estimate.step_ns * lessersOff, off: lessersOff, candidateOf: lesser });
    }
  }
  return [...known.values()].toSorted((a, b) => a.time - b.time);
}

/** A candidate that may not be made yet. */
interface Promising {
  /** Nanoseconds a step by the closed form, times how far that is off. */
  readonly ns: number;
  readonly off: number;
  readonly candidateOf: () => Candidate;
}

function enqueue(queue: Promising[], one: Promising): void {
  const behind = queue.findIndex(({ ns }) => ns > one.ns);
  queue.splice(behind < 0 ? queue.length : behind, 0, one);
}

/** The closed form is hardly further above the time of a schedule than this. */
const CLOSED_FORM_MARGIN = 0.985;
/** A candidate that promises a step this much slower than the fastest may still be faster. */
const WORTH_TIMING = 1.005;
/** Schedules that are looked at. */
const MOST_TIMED = 64;

/**
 * The first that is as fast on its layout as the fastest schedule, those that move least first: a layout adds waits and
 * takes none away. Where each adds more, the fastest of some.
 */
function decide(ordered: readonly Timed[]): Timed {
  invariant(ordered.length > 0, "no candidate, although a floor fits");
  const limit = ordered[0]!.time * AS_FAST;
  const asFast = ordered.filter(({ time }) => time <= limit);
  const others = ordered.slice(asFast.length);
  const known: Timed[] = [];
  for (const { candidate } of [...asFast.toSorted(byMoved), ...others]) {
    if (known.length >= MOST_SIMULATED) break;
    const laidOut = laidOutWithin(candidate);
    if (!laidOut) continue;
    // The layout is not kept: those of all together would fill the memory.
    const one = { candidate: laidOut.candidate, time: simulateCandidate(candidate.variant, laidOut.laidOut) };
    if (one.time <= limit) return one;
    known.push(one);
  }
  invariant(known.length > 0, "no candidate fits, although a floor does");
  return known.reduce((a, b) => (b.time < a.time ? b : a));
}

/** Whole blocks before stages that move as little: they are fewer instructions. */
function byMoved({ candidate: a }: Timed, { candidate: b }: Timed): number {
  const stages = ({ shape }: Candidate): number => (shape.unitSize === "block" ? 0 : 1);
  return a.estimate.moved - b.estimate.moved || stages(a) - stages(b);
}

const MOST_SIMULATED = 4;

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
