/** Sampling against Transformers' logits processors (test/parity/sampling.py), and its draws. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { chances, Sampler, type Sampling } from "../../chat/sampling.ts";
import { counterRandom } from "../../schemas/counter-rng.ts";

interface GoldenCase {
  readonly sampling: Omit<Sampling, "seed">;
  readonly logits: readonly number[];
  readonly before: readonly number[];
  readonly chances: readonly (readonly [token: number, probability: number])[];
}

const golden = JSON.parse(
  readFileSync(join(import.meta.dirname, "../golden/sampling.json"), "utf8"),
) as GoldenCase[];

const plain: Sampling = { temperature: 1, topK: null, topP: 1, minP: 0, repetitionPenalty: 1, seed: 3 };
/** Probabilities 1/2, 1/4, 1/8, 1/8. */
const LOGITS = Float32Array.from([0.125, 0.5, 0.25, 0.125], Math.log);

describe("the chances of the next token", () => {
  it.each(golden)(
    "are those of Transformers with $sampling",
    ({ sampling, logits, before, chances: expected }) => {
      const given = chances(Float32Array.from(logits), before, { ...sampling, seed: 0 });
      expect(given.map(({ token }) => token)).toEqual(expected.map(([token]) => token));
      given.forEach(({ probability }, index) => {
        expect(probability).toBeCloseTo(expected[index]![1], 6);
      });
    },
  );
});

/** All tokens sorted at once, and each rule applied to the whole list: what the banded search must give. */
function plainly(logits: Float32Array, { temperature, topK, topP, minP }: Sampling) {
  const order = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b);
  const best = logits[order[0]!]!;
  const weight = (token: number) => Math.exp((logits[token]! - best) / temperature);
  const least = topK === null ? Number.NEGATIVE_INFINITY : logits[order[Math.min(topK, order.length) - 1]!]!;
  const pool = order.filter((token) => logits[token]! >= least);
  const goal = topP * pool.reduce((sum, token) => sum + weight(token), 0);
  let reached = 0;
  const kept = pool.filter((token) => {
    const before = reached;
    reached += weight(token);
    return (topP >= 1 || before < goal) && weight(token) >= minP;
  });
  const total = kept.reduce((sum, token) => sum + weight(token), 0);
  return kept.map((token) => ({ token, probability: weight(token) / total }));
}

describe("the search for the likeliest", () => {
  const settings: readonly Partial<Sampling>[] = [
    {},
    { temperature: 0.2 },
    { topK: 1 },
    { topK: 40 },
    { topK: 5000 },
    { topP: 0.9 },
    { topP: 0.9, topK: 300, temperature: 3 },
    { minP: 0.05 },
    { minP: 1 },
    { topP: 0.5, minP: 0.2, temperature: 2 },
  ];

  it.each(settings)("gives what sorting everything gives, with %j", (change) => {
    const sampling = { ...plain, ...change };
    const random = counterRandom(5, JSON.stringify(change));
    for (const spread of [0, 0.5, 10, 4000]) {
      // Rounded, so that there are equals, also at the edges of bands.
      const logits = Float32Array.from({ length: 3000 }, (_, i) => Math.round(spread * random.float(i)) / 2);
      const given = chances(logits, [], sampling);
      const expected = plainly(logits, sampling);
      expect(given.map(({ token }) => token)).toEqual(expected.map(({ token }) => token));
      given.forEach(({ probability }, i) => {
        expect(Math.abs(probability - expected[i]!.probability)).toBeLessThan(1e-12);
      });
    }
  });
});

describe("a draw", () => {
  it("takes tokens as often as they are likely", () => {
    const sampler = new Sampler(plain);
    const counts = [0, 0, 0, 0];
    const draws = 4000;
    for (let index = 0; index < draws; index++) counts[sampler.next(LOGITS, [], index)]!++;
    // Five standard deviations; the draws are fixed by the seed, so this cannot flicker.
    [0.125, 0.5, 0.25, 0.125].forEach((probability, token) => {
      const deviation = Math.sqrt((probability * (1 - probability)) / draws);
      expect(Math.abs(counts[token]! / draws - probability)).toBeLessThan(5 * deviation);
    });
  });

  it("depends on seed and index alone", () => {
    const tokens = (seed: number) => {
      const sampler = new Sampler({ ...plain, seed });
      return Array.from({ length: 50 }, (_, index) => sampler.next(LOGITS, [], index));
    };
    expect(tokens(3)).toEqual(tokens(3));
    expect(tokens(3)).not.toEqual(tokens(4));
    expect(new Sampler(plain).next(LOGITS, [], 17)).toBe(tokens(3)[17]);
  });

  it("takes the largest at temperature 0, the first of equals, after the penalty", () => {
    const greedy = new Sampler({ ...plain, temperature: 0 });
    expect(greedy.next(Float32Array.of(1, 5, 5, 2), [1], 0)).toBe(1);
    const penalized = new Sampler({ ...plain, temperature: 0, repetitionPenalty: 2 });
    expect(penalized.next(Float32Array.of(1, 5, 4, 2), [1], 0)).toBe(2);
    expect(penalized.next(Float32Array.of(-1, -5, -4, -2), [0], 0)).toBe(0);
    expect(penalized.next(Float32Array.of(-1, -5, -4, -1.5), [0], 0)).toBe(3);
  });
});
