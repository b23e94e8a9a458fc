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
import { type Candidate, candidates } from "../shape/candidates.ts";
import { type Choice, choiceOf } from "../shape/choice.ts";
import { simulateCandidate } from "../shape/simulate-candidate.ts";
import { timeSchedule } from "../shape/time-schedule.ts";
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

/** Of those that are this close to the fastest, the one that moves least is chosen. */
const AS_FAST = 1.002;
/** How often a layout that needs more than its fullest moment is made smaller before the candidate is dropped. */
const CORRECTIONS = 4;

export function chooseShape<Work extends Variant>(variants: readonly Work[]): ChosenShape<Work> {
  const search = new Search(candidates(variants));
  const best = decide(search);
  const variant = variants.find((one) => one === best.candidate.variant)!;
  const shown = [best, ...search.timed.slice(0, TIMES_SHOWN)];
  const times = new Map(shown.toReversed().map(({ candidate, time }) => [candidate, time]));
  return { variant, shape: best.candidate.shape, choice: choiceOf(best.candidate, search.ranked, times) };
}

/** Of the candidates that lost by the time of their schedules, so many are listed. */
const TIMES_SHOWN = 5;

interface Timed {
  readonly candidate: Candidate;
  /** Nanoseconds a step. */
  readonly time: number;
}

/**
 * Times the schedules of candidates, those that promise most first. What a candidate would be with less memory is a
 * candidate too, as it was under the smaller budget, so that more memory is not slower; its closed form is taken to be as
 * far off as that of the one that it comes from.
 */
class Search {
  readonly #known = new Map<string, Timed>();
  readonly #queue: Promising[] = [];
  /** What was left out, as it promised neither less time nor less traffic. */
  readonly #passed: Promising[] = [];
  readonly #weighed: Candidate[] = [];

  constructor(all: readonly Candidate[]) {
    for (const candidate of all) this.#weigh(candidate);
  }

  /** By the closed form, the best first; those of floors that were measured in the end as they are. */
  get ranked(): readonly Candidate[] {
    return this.#weighed
      .filter(({ supposed }) => !supposed?.isMeasured)
      .toSorted(({ estimate: a }, { estimate: b }) => a.step_ns - b.step_ns || a.moved - b.moved);
  }

  /** Those that were timed, the fastest first. */
  get timed(): readonly Timed[] {
    return [...this.#known.values()].toSorted((a, b) => a.time - b.time);
  }

  /**
   * Goes on until the rest promises more than so many times the fastest, or so many are timed. What promises more than
   * the fastest counts for what it moves: unless `all` do, only where that is less than what is as fast moves.
   */
  until(worth: number, most: number, all: boolean): readonly Timed[] {
    if (all) for (const one of this.#passed.splice(0)) enqueue(this.#queue, one);
    const limit = this.#known.size + most;
    while (this.#queue.length > 0 && this.#known.size < limit) {
      const fastest = Math.min(...[...this.#known.values()].map(({ time }) => time));
      if (this.#queue[0]!.ns > fastest * worth) break;
      const next = this.#queue.shift()!;
      const candidate = next.candidateOf();
      const promised = { ...next, ns: candidate.estimate.least_ns * next.off, candidateOf: () => candidate };
      if (promised.ns > next.ns) enqueue(this.#queue, promised);
      else if (all || next.ns <= fastest || candidate.estimate.moved < this.#leastMoved(fastest * worth)) {
        this.#look(candidate);
      } else this.#passed.push(promised);
    }
    return this.timed;
  }

  /** Bytes over all links of the one that moves least, of those that take no longer. */
  #leastMoved(ns: number): number {
    const asFast = this.timed.filter(({ time }) => time <= ns);
    return Math.min(...asFast.map(({ candidate }) => candidate.estimate.moved));
  }

  #weigh(candidate: Candidate): void {
    this.#weighed.push(candidate);
    enqueue(this.#queue, { ns: candidate.estimate.least_ns, off: 1, candidateOf: () => candidate });
  }

  /** Times the candidate; of one whose floor is supposed, measures that. */
  #look(candidate: Candidate): void {
    const { supposed, variant, shape, estimate, lesser } = candidate;
    if (supposed !== null) {
      if (!supposed.isMeasured) for (const measured of supposed.measure()) this.#weigh(measured);
      return;
    }
    const key = `${variant.unitSize} ${JSON.stringify(shape)}`;
    if (this.#known.has(key)) return;
    const time = timeSchedule(variant, scheduleWork(variant, shape));
    this.#known.set(key, { candidate, time });
    const off = Math.max(1, time / estimate.step_ns);
    for (const one of lesser) enqueue(this.#queue, { ns: estimate.least_ns * off, off, candidateOf: one });
  }
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

/** A candidate that promises a step this much slower than the fastest may still move less and be as fast. */
const WORTH_TIMING = AS_FAST;
/** Schedules that are looked at. */
const MOST_TIMED = 64;

/**
 * The fastest; where it moves clearly more over some link than the bound of its touches and places, the fastest that does
 * not, as long as it is hardly slower.
 */
function decide(search: Search): Timed {
  const fastest = fastestOf(search.until(WORTH_TIMING, MOST_TIMED, false));
  if (fastest.gap <= MOST_OVER_BOUND) return fastest;
  const limit = fastest.time * WORTH_LESS_TRAFFIC;
  const all = search.until(WORTH_TIMING_FOR_TRAFFIC, MOST_TIMED_FOR_TRAFFIC, true);
  for (const { candidate, time } of all) {
    if (time > limit) break;
    const { variant, shape } = candidate;
    if (gapOf(variant, withLifetimes(scheduleWork(variant, shape))) > MOST_OVER_BOUND) continue;
    const placed = laidOutWithin(candidate);
    if (!placed) continue;
    const thrifty = simulated(placed);
    if (thrifty.gap <= MOST_OVER_BOUND && thrifty.time <= limit) return thrifty;
  }
  return fastest;
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
  readonly gap: number;
}

/**
 * The first that is as fast on its layout as the fastest schedule, those that move least first: a layout adds waits and
 * takes none away. Where each adds more, the fastest of some.
 */
function fastestOf(ordered: readonly Timed[]): Simulated {
  invariant(ordered.length > 0, "no candidate, although a floor fits");
  const limit = ordered[0]!.time * AS_FAST;
  const asFast = ordered.filter(({ time }) => time <= limit);
  const others = ordered.slice(asFast.length);
  const known: Simulated[] = [];
  for (const { candidate } of [...asFast.toSorted(byMoved), ...others]) {
    if (known.length >= MOST_SIMULATED) break;
    const placed = laidOutWithin(candidate);
    if (!placed) continue;
    // The layout is not kept: those of all together would fill the memory.
    const one = simulated(placed);
    if (one.time <= limit) return one;
    known.push(one);
  }
  invariant(known.length > 0, "no candidate fits, although a floor does");
  return known.reduce((a, b) => (b.time < a.time ? b : a));
}

function simulated({ candidate, laidOut }: Placed): Simulated {
  const { variant } = candidate;
  return { candidate, time: simulateCandidate(variant, laidOut), gap: gapOf(variant, laidOut) };
}

/** The largest share by which a link moves more than its bound in the program that repeats. */
function gapOf(variant: Variant, schedule: Lived): number {
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
  return Math.max(...links.map(({ moved, bound }) => (moved === bound ? 0 : moved / bound - 1)));
}

/** Whole blocks before stages that move as little: they are fewer instructions. */
function byMoved({ candidate: a }: Timed, { candidate: b }: Timed): number {
  const stages = ({ shape }: Candidate): number => (shape.unitSize === "block" ? 0 : 1);
  return a.estimate.moved - b.estimate.moved || stages(a) - stages(b);
}

const MOST_SIMULATED = 4;

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
