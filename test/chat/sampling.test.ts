/** Sampling against Transformers' logits processors (test/parity/sampling.py), and its draws. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { chances, Sampler, type Sampling } from "../../chat/sampling.ts";

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
