/**
 * Which token comes next: from the logits of one position to a token, in the order of Transformers' generation:
 * repetition penalty, temperature, top-k, top-p, min-p, then one draw.
 *
 * Draws are a pure function of (seed, number of the token), so the same seed gives the same text whatever is drawn
 * elsewhere. Greedy decoding is temperature 0 and draws nothing.
 */
import { type CounterRandom, counterRandom } from "../schemas/counter-rng.ts";
import { invariant } from "../schemas/diagnostic.ts";

export interface Sampling {
  /** Divides the logits; 0 takes the largest. */
  readonly temperature: number;
  /** At most so many tokens, and those as likely as the last of them; null: all. */
  readonly topK: number | null;
  /** The fewest most likely tokens whose probabilities reach this (Holtzman et al. 2020, section 3.1); 1: all. */
  readonly topP: number;
  /** Only tokens at least this likely beside the likeliest (Nguyen et al. 2024, section 3); 0: all. */
  readonly minP: number;
  /** Takes probability from tokens that occurred (Keskar et al. 2019, section 4.1); 1: none. */
  readonly repetitionPenalty: number;
  readonly seed: number;
}

export interface Chance {
  readonly token: number;
  readonly probability: number;
}

export class Sampler {
  readonly #sampling: Sampling;
  readonly #random: CounterRandom;

  constructor(sampling: Sampling) {
    this.#sampling = sampling;
    this.#random = counterRandom(sampling.seed, "sampling");
  }

  /** The `index`-th token of a generation: logits [V], and every token before it, the prompt's included. */
  next(logits: Float32Array, before: Iterable<number>, index: number): number {
    const scores = penalized(logits, before, this.#sampling);
    if (this.#sampling.temperature === 0) return argmax(scores);
    return drawn(candidates(scores, this.#sampling), this.#random.float(index));
  }
}

/** The tokens that may come next, the likeliest first and equals by id; their probabilities add up to 1. */
export function chances(
  logits: Float32Array,
  before: Iterable<number>,
  sampling: Sampling,
): readonly Chance[] {
  invariant(sampling.temperature > 0, "greedy decoding has no chances");
  const { tokens, total } = candidates(penalized(logits, before, sampling), sampling);
  return Array.from(tokens, ({ token, weight }) => ({ token, probability: weight / total }));
}

interface Weighted {
  readonly token: number;
  /** How likely it is beside the likeliest, which has 1. */
  readonly weight: number;
}

interface Candidates {
  /** The likeliest first; found as they are asked for. */
  readonly tokens: Iterable<Weighted>;
  /** The sum of their weights. */
  readonly total: number;
}

function candidates(scores: Float64Array, { temperature, topK, topP, minP }: Sampling): Candidates {
  const best = scores[argmax(scores)]!;
  const weightOf = (token: number): number => Math.exp((scores[token]! - best) / temperature);
  const all = topK === null ? likeliest(scores) : firstOf(likeliest(scores), scores, topK);
  const weighted = function* (): Generator<Weighted> {
    for (const token of all) yield { token, weight: weightOf(token) };
  };
  // Without a cut nobody needs all tokens in order.
  if (topK === null && topP >= 1 && minP === 0) return { tokens: weighted(), total: sumOf(scores, weightOf) };
  const pool = topK === null ? weighted() : [...weighted()];
  let goal = Number.POSITIVE_INFINITY;
  if (topP < 1) goal = topP * (Array.isArray(pool) ? total(pool) : sumOf(scores, weightOf));
  const kept: Weighted[] = [];
  let reached = 0;
  for (const one of pool) {
    if (one.weight < minP) break;
    kept.push(one);
    reached += one.weight;
    if (reached >= goal) break;
  }
  return { tokens: kept, total: total(kept) };
}

/** Tokens by their scores, equals by id: sorted in bands below the best, each twice as wide as the one above. */
function* likeliest(scores: Float64Array): Generator<number> {
  const best = scores[argmax(scores)]!;
  let upper = Number.POSITIVE_INFINITY;
  let found = 0;
  for (let width = 4; found < scores.length; width *= 2) {
    const lower = width < WIDEST ? best - width : Number.NEGATIVE_INFINITY;
    const band: number[] = [];
    for (let token = 0; token < scores.length; token++) {
      const score = scores[token]!;
      if (score >= lower && score < upper) band.push(token);
    }
    band.sort((a, b) => scores[b]! - scores[a]! || a - b);
    yield* band;
    found += band.length;
    if (lower === Number.NEGATIVE_INFINITY) return;
    upper = lower;
  }
}

/** So far below the best that the last band holds all the rest. */
const WIDEST = 2 ** 20;

/** The first `count` of them, and those as likely as the last of these. */
function* firstOf(tokens: Iterable<number>, scores: Float64Array, count: number): Generator<number> {
  let taken = 0;
  let last = 0;
  for (const token of tokens) {
    if (taken >= count && scores[token]! < last) return;
    last = scores[token]!;
    taken++;
    yield token;
  }
}

function sumOf(scores: Float64Array, weightOf: (token: number) => number): number {
  let sum = 0;
  for (let token = 0; token < scores.length; token++) sum += weightOf(token);
  return sum;
}

function total(weighted: readonly Weighted[]): number {
  return weighted.reduce((sum, { weight }) => sum + weight, 0);
}

function penalized(
  logits: Float32Array,
  before: Iterable<number>,
  { repetitionPenalty }: Sampling,
): Float64Array {
  const scores = Float64Array.from(logits);
  if (repetitionPenalty === 1) return scores;
  for (const token of new Set(before)) {
    const score = scores[token]!;
    scores[token] = score < 0 ? score * repetitionPenalty : score / repetitionPenalty;
  }
  return scores;
}

function argmax(values: Float64Array): number {
  let best = 0;
  for (let index = 1; index < values.length; index++) if (values[index]! > values[best]!) best = index;
  return best;
}

/** `at` in [0, 1) of the way through the candidates. */
function drawn({ tokens, total }: Candidates, at: number): number {
  let sum = 0;
  let last = 0;
  for (const { token, weight } of tokens) {
    sum += weight;
    if (at * total < sum) return token;
    last = token;
  }
  return last;
}
