/** Which candidates are scheduled and timed, in which order, and what is found out of them. */
import { scheduleWork } from "../passes/realize.ts";
import type { Candidate } from "./candidates.ts";
import type { Finding, Verdict } from "./reasons.ts";
import { timeSchedule } from "./time-schedule.ts";

export interface Timed {
  readonly candidate: Candidate;
  /** Nanoseconds a step. */
  readonly time: number;
}

/**
 * Times the schedules of candidates, those that promise most first. What a candidate would be with less memory is a
 * candidate too, as it was under the smaller budget, so that more memory is not slower; its closed form is taken to be as
 * far off as that of the one that it comes from. So is what it would be with less kept, which leaves room for weights, and
 * whose closed form is nearer to its time.
 */
export class Search {
  readonly #known = new Map<string, Timed>();
  readonly #verdicts = new Map<string, Verdict>();
  readonly #queue: Promising[] = [];
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

  /** Goes on until the rest promises more than so many times the fastest, or so many are timed. */
  until(worth: number, most: number): readonly Timed[] {
    const limit = this.#known.size + most;
    while (this.#queue.length > 0 && this.#known.size < limit) {
      const fastest = Math.min(...[...this.#known.values()].map(({ time }) => time));
      if (this.#queue[0]!.ns > fastest * worth) break;
      const next = this.#queue.shift()!;
      const candidate = next.candidateOf();
      const ns = candidate.estimate.least_ns * next.off;
      if (ns > next.ns) enqueue(this.#queue, { ...next, ns, candidateOf: () => candidate });
      else this.#look(candidate);
    }
    return this.timed;
  }

  /** Times these too, whatever they promise. */
  untilAllOf(more: readonly Candidate[]): readonly Timed[] {
    for (const candidate of more) {
      this.#weighed.push(candidate);
      this.#look(candidate);
    }
    return this.timed;
  }

  /** Why a candidate that was laid out, or was about to be, was not the one; what does not fit needs no other reason. */
  reject(candidate: Candidate, verdict: Verdict): void {
    const key = keyOf(candidate);
    if (this.#verdicts.get(key)?.kind !== "too large") this.#verdicts.set(key, verdict);
  }

  findingOf(candidate: Candidate): Finding {
    const key = keyOf(candidate);
    return { time: this.#known.get(key)?.time ?? null, verdict: this.#verdicts.get(key) ?? null };
  }

  #weigh(candidate: Candidate): void {
    this.#weighed.push(candidate);
    enqueue(this.#queue, { ns: candidate.estimate.least_ns, off: 1, candidateOf: () => candidate });
  }

  /** Times the candidate; of one whose floor is supposed, measures that. */
  #look(candidate: Candidate): void {
    const { supposed, variant, shape, estimate, keepingLess, inLess } = candidate;
    if (supposed !== null) {
      if (!supposed.isMeasured) for (const measured of supposed.measure()) this.#weigh(measured);
      return;
    }
    const key = keyOf(candidate);
    if (this.#known.has(key)) return;
    const time = timeSchedule(variant, scheduleWork(variant, shape));
    this.#known.set(key, { candidate, time });
    const off = Math.max(1, time / estimate.step_ns);
    for (const one of keepingLess) enqueue(this.#queue, { ns: estimate.least_ns, off: 1, candidateOf: one });
    for (const one of inLess) enqueue(this.#queue, { ns: estimate.least_ns * off, off, candidateOf: one });
  }
}

function keyOf({ variant, shape }: Candidate): string {
  return `${variant.unitSize} ${JSON.stringify(shape)}`;
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
