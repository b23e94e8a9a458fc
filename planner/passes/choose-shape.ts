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
import type { LaidOut, Lived, Shape, Task } from "../ir/schedule.ts";
import { PAGE } from "../ir/values.ts";
import type { Variant } from "../ir/variants.ts";
import { type Candidate, candidates, plainFloors } from "../shape/candidates.ts";
import { type Choice, choiceOf } from "../shape/choice.ts";
import { gapOf, type LinkTraffic, reasonAgainst, reasonFor, type Standard } from "../shape/reasons.ts";
import { Search, type Timed } from "../shape/search.ts";
import { simulateCandidate } from "../shape/simulate-candidate.ts";
import { boundTraffic } from "./bound-traffic.ts";
import { emitForTiming } from "./emit.ts";
import { arenaBudget, fits } from "./feasible.ts";
import { withLifetimes } from "./layout.ts";
import { effectContext, realizeWork, scheduleWork } from "./realize.ts";

export interface ChosenShape<Work extends Variant> {
  readonly variant: Work;
  readonly shape: Shape;
  readonly choice: Choice;
}

/** How often a layout that needs more than its fullest moment is made smaller before the candidate is dropped. */
const CORRECTIONS = 4;

export function chooseShape<Work extends Variant>(variants: readonly Work[]): ChosenShape<Work> {
  const search = new Search(candidates(variants));
  const best = decide(search, () => plainFloors(variants));
  const variant = variants.find((one) => one === best.candidate.variant)!;
  return { variant, shape: best.candidate.shape, choice: record(best, search) };
}

/** What is said of the search: the best of what was rejected is kept, each with its reason. */
function record(best: Decided, search: Search): Choice {
  const { candidate: chosen, time, thrifty } = best;
  const { timed } = search;
  const standard: Standard = {
    chosen: { time, scheduled: search.findingOf(chosen).time, moved: chosen.estimate.moved, thrifty },
    fastest: timed[0]!.time,
    timed: timed.length,
  };
  const shown = timed.slice(0, TIMES_SHOWN).map(({ candidate }) => candidate);
  return choiceOf(chosen, search.ranked, shown, (candidate) => {
    if (candidate === chosen) return { time, reason: reasonFor(standard) };
    const found = search.findingOf(candidate);
    const { step_ns, moved } = candidate.estimate;
    return { time: found.time, reason: reasonAgainst({ time: step_ns, moved }, found, standard) };
  });
}

/** Of the candidates that lost by the time of their schedules, so many are listed. */
const TIMES_SHOWN = 5;

/** Schedules that are looked at. */
const MOST_TIMED = 64;

/**
 * The fastest; where it moves clearly more over some link than the bound of its touches and places, the fastest that does
 * not and moves less, as long as it is hardly slower.
 */
function decide(search: Search, plainFloors: () => readonly Candidate[]): Decided {
  const known: LaidOutOnce = new Map();
  const fastest = fastestOf(search, known, plainFloors);
  if (gapOf(fastest.worst) <= MOST_OVER_BOUND) return { ...fastest, thrifty: false };
  search.reject(fastest.candidate, { kind: "over bound", traffic: fastest.worst });
  const limit = fastest.time * WORTH_LESS_TRAFFIC;
  const all = search.until(WORTH_TIMING_FOR_TRAFFIC, MOST_TIMED_FOR_TRAFFIC);
  for (const { candidate, time } of all) {
    if (time > limit) break;
    const { variant, shape, estimate } = candidate;
    if (estimate.moved >= fastest.candidate.estimate.moved) continue;
    const worst = worstLink(variant, withLifetimes(scheduleWork(variant, shape)));
    if (gapOf(worst) > MOST_OVER_BOUND) {
      search.reject(candidate, { kind: "over bound", traffic: worst });
      continue;
    }
    const one = onItsLayout(search, candidate, known);
    if (one === null) continue;
    const isOver = gapOf(one.worst) > MOST_OVER_BOUND;
    if (!isOver && one.time <= limit) return { ...one, thrifty: true };
    search.reject(
      one.candidate,
      isOver ? { kind: "over bound", traffic: one.worst } : { kind: "laid out", ns: one.time },
    );
  }
  return { ...(fastestLaidOut(search, all, known) ?? fastest), thrifty: false };
}

interface Decided extends Simulated {
  /** It is not the fastest; its traffic is what time was given for. */
  readonly thrifty: boolean;
}

/** Bytes above the bound, relative to it, that no time is given for. */
const MOST_OVER_BOUND = 0.02;
/** A step may be this much slower for traffic that is at its bound. */
const WORTH_LESS_TRAFFIC = 1.01;
/** So much slower a candidate may promise to be, since the closed form is further off where the disk is busy. */
const WORTH_TIMING_FOR_TRAFFIC = 1.03;
/** Schedules that are looked at for that, beyond those that are timed anyway. */
const MOST_TIMED_FOR_TRAFFIC = 16;

interface Simulated extends Timed {
  /** The link that is furthest above its bound. */
  readonly worst: LinkTraffic;
}

/**
 * The fastest on its layout. Where addresses make it slower than its schedule, what promises less than it takes then is
 * looked at too. Where layouts waste so much that nothing fits that promises most, everything is looked at, and in the end
 * the plain floors, of which one fits.
 */
function fastestOf(search: Search, known: LaidOutOnce, plainFloors: () => readonly Candidate[]): Simulated {
  const timed = search.until(1, MOST_TIMED);
  const fastest = fastestLaidOut(search, timed, known);
  if (fastest === null) {
    const any =
      fastestLaidOut(search, search.until(Number.POSITIVE_INFINITY, MOST_TIMED), known) ??
      fastestLaidOut(search, search.untilAllOf(plainFloors()), known);
    invariant(any, "no candidate fits, although a floor does");
    return any;
  }
  const slower = fastest.time / timed[0]!.time;
  return fastestLaidOut(search, search.until(slower, MOST_TIMED_AGAIN), known) ?? fastest;
}

/**
 * The fastest on its layout; of those as fast, the one that moves least. A layout adds waits to a schedule, so the next
 * fastest schedules are looked at too, down to those that are slower as they are, or as many as there is time for. What
 * was made smaller so that it fits may be faster than the schedule that it comes from. `null` where none fits.
 */
function fastestLaidOut(search: Search, timed: readonly Timed[], known: LaidOutOnce): Simulated | null {
  const fitting = () => [...known.values()].filter((one) => one !== null);
  const most = fitting().length + MOST_SIMULATED;
  let [best] = fitting().toSorted(byTime);
  for (const { candidate, time } of timed.toSorted(byTime)) {
    if ((best && microseconds(time) > microseconds(best.time)) || fitting().length >= most) break;
    const one = onItsLayout(search, candidate, known);
    if (one !== null && (!best || byTime(one, best) < 0)) best = one;
  }
  for (const one of fitting()) {
    if (one !== best) search.reject(one.candidate, { kind: "laid out", ns: one.time });
  }
  return best ?? null;
}

/** What candidates are on their layouts, of those looked at; the layouts of all together would fill the memory. */
type LaidOutOnce = Map<Candidate, Simulated | null>;

/** The candidate on its layout, or as much of it as fits; `null` where none does. */
function onItsLayout(search: Search, candidate: Candidate, known: LaidOutOnce): Simulated | null {
  const before = known.get(candidate);
  if (before !== undefined) return before;
  const placed = laidOutWithin(candidate);
  if (placed?.candidate !== candidate) search.reject(candidate, { kind: "too large" });
  const one = placed ? simulated(placed) : null;
  known.set(candidate, one);
  return one;
}

function simulated({ candidate, laidOut }: Placed): Simulated {
  const { variant } = candidate;
  return { candidate, time: simulateCandidate(variant, laidOut), worst: worstLink(variant, laidOut) };
}

/** The link that moves most above its bound in the program that repeats. */
function worstLink(variant: Variant, schedule: Lived): LinkTraffic {
  const { cycle, parts } = schedule;
  const context = effectContext(variant, schedule);
  const instructions = (tasks: readonly Task[]) =>
    emitForTiming(
      variant.inputs,
      tasks.map((task) => ({ task, waits: [] })),
      context,
    );
  const { prologue, steady } = parts[cycle]!;
  const program = { prologue: instructions(prologue), steady: instructions(steady), epilogue: [] };
  const links = boundTraffic(schedule, variant.units, { [cycle]: program });
  return links.reduce((a, b) => (gapOf(b) > gapOf(a) ? b : a));
}

/** Of those as fast, what moves less comes first; of those that move as much, whole blocks: they are fewer instructions. */
function byTime(one: Timed, other: Timed): number {
  const { estimate: a, shape } = one.candidate;
  const { estimate: b, shape: otherShape } = other.candidate;
  const stages = ({ unitSize }: Shape): number => (unitSize === "block" ? 0 : 1);
  const slower = microseconds(one.time) - microseconds(other.time);
  return slower || a.moved - b.moved || stages(shape) - stages(otherShape);
}

/** Of a step. Each of its instructions is rounded to nanoseconds, so that these say nothing. */
function microseconds(ns: number): number {
  return Math.round(ns / 1000);
}

/** Layouts that are made of those that were timed, and schedules that are timed again where all of these are slower. */
const MOST_SIMULATED = 4;
const MOST_TIMED_AGAIN = 16;

interface Placed {
  readonly candidate: Candidate;
  readonly laidOut: LaidOut;
}

/** The candidate on its exact layout; smaller where fragments make it larger than its fullest moment. */
function laidOutWithin(candidate: Candidate): Placed | undefined {
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
