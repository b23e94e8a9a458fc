import { describe, expect, it } from "vitest";
import type { RowSource } from "../../data/row-source.ts";
import { packedBatches } from "../../runtime/batches.ts";
import { toyPlan } from "./helpers.ts";

/** Row r holds the token r; every row has r supervised tokens. */
function dataset(rows: number): RowSource {
  return {
    sequenceLength: 1,
    rows,
    attendedPairs: rows,
    supervised: Int32Array.from({ length: rows }, (_, row) => row),
    read: (chosen) => {
      const zeros = new Int32Array(chosen.length);
      const numbers = Int32Array.from(chosen);
      return {
        sequenceLength: 1,
        rows: chosen.length,
        tokens: numbers,
        labels: zeros,
        positions: zeros,
        segmentStart: zeros,
        supervised: numbers,
      };
    },
  };
}

describe("packedBatches", () => {
  const plan = toyPlan({ shuffle: true });
  const size = plan.shape.batch_size;

  it("gives a step the same rows whenever it is asked, each row once an epoch", () => {
    const batches = packedBatches(plan, dataset(2 * size + 1), null);
    const epoch = [0, 1, 2].flatMap((step) => {
      const { tokens } = batches.step(step);
      expect(batches.step(step).tokens).toEqual(tokens);
      return [...tokens].slice(0, step === 2 ? 1 : size);
    });
    expect(epoch.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 2 * size + 1 }, (_, row) => row));
    expect([...batches.step(3).tokens]).not.toEqual([...batches.step(0).tokens]);
  });

  it("goes through the validation rows in order, the last batch short", () => {
    const passes = [...packedBatches(plan, dataset(size), dataset(size + 2)).validation()];
    expect(passes).toHaveLength(2);
    expect([...passes[1]!.tokens].slice(0, 2)).toEqual([size, size + 1]);
    expect(passes[1]!.supervisedTokens).toBe(2 * size + 1);
    expect([...packedBatches(plan, dataset(size), null).validation()]).toEqual([]);
  });
});
