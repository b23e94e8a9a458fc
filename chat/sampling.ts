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
    if (this.#sampling.temperature === 0) return argmax(penalized(logits, before, this.#sampling));
    return drawn(chances(logits, before, this.#sampling), this.#random.float(index));
  }
}

/** The tokens that may come next, the likeliest first and equals by id; their probabilities add up to 1. */
export function chances(
  logits: Float32Array,
  before: Iterable<number>,
  sampling: Sampling,
): readonly Chance[] {
  const { temperature, topK, topP, minP } = sampling;
  invariant(temperature > 0, "greedy decoding has no chances");
  const scores = penalized(logits, before, sampling).map((score) => score / temperature);
  const order = Array.from(scores.keys()).sort((a, b) => scores[b]! - scores[a]! || a - b);
  const best = scores[order[0]!]!;
  const weight = (token: number) => Math.exp(scores[token]! - best);
  const least = topK === null ? Number.NEGATIVE_INFINITY : scores[order[Math.min(topK, order.length) - 1]!]!;
  const kept = order.filter((token) => scores[token]! >= least);
  const nucleus = nucleusOf(kept.map(weight), topP);
  // The likeliest has weight 1, so a weight is how likely a token is beside it.
  const likely = kept.slice(0, nucleus).filter((token) => weight(token) >= minP);
  const total = likely.reduce((sum, token) => sum + weight(token), 0);
  return likely.map((token) => ({ token, probability: weight(token) / total }));
}

/** How many of the weights, which descend, reach a share of their sum; one at least. */
function nucleusOf(weights: readonly number[], share: number): number {
  if (share >= 1) return weights.length;
  const goal = share * weights.reduce((sum, weight) => sum + weight, 0);
  let reached = 0;
  const count = weights.findIndex((weight) => {
    reached += weight;
    return reached >= goal;
  });
  return count < 0 ? weights.length : count + 1;
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
  return values.reduce((best, value, index) => (value > values[best]! ? index : best), 0);
}

function drawn(list: readonly Chance[], at: number): number {
  let sum = 0;
  for (const { token, probability } of list) {
    sum += probability;
    if (at < sum) return token;
  }
  return list.at(-1)!.token;
}
