import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { IGNORED } from "../../data/encode.ts";
import { position, type RowOrder, stepInputs, stepRows, stepsPerEpoch } from "../../data/order.ts";
import type { PackedDataset } from "../../data/pack.ts";

const orders: fc.Arbitrary<RowOrder> = fc.record({
  rows: fc.integer({ min: 1, max: 40 }),
  batchSize: fc.integer({ min: 1, max: 12 }),
  seed: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  shuffle: fc.boolean(),
});

describe("stepRows", () => {
  it("visits every row once an epoch", () => {
    fc.assert(
      fc.property(orders, fc.nat(3), (order, epoch) => {
        const perEpoch = stepsPerEpoch(order);
        const visited: number[] = [];
        for (let i = 0; i < perEpoch; i++) {
          const rows = stepRows(order, epoch * perEpoch + i);
          expect(position(order, epoch * perEpoch + i)).toEqual({ epoch, row: visited.length });
          expect(rows.length).toBe(Math.min(order.batchSize, order.rows - visited.length));
          visited.push(...rows);
        }
        if (order.shuffle) visited.sort((a, b) => a - b);
        expect(visited).toEqual(Array.from({ length: order.rows }, (_, i) => i));
      }),
    );
  });

  it("gives any step directly what counting up to it gives", () => {
    const order = { rows: 23, batchSize: 4, seed: 7, shuffle: true };
    const counted = Array.from({ length: 20 }, (_, step) => [...stepRows(order, step)]);
    for (const step of [19, 0, 11, 5]) expect([...stepRows({ ...order }, step)]).toEqual(counted[step]);
  });

  it("has another order in another epoch and for another seed", () => {
    const order = { rows: 64, batchSize: 64, seed: 1, shuffle: true };
    const first = [...stepRows(order, 0)];
    expect([...stepRows(order, 1)]).not.toEqual(first);
    expect([...stepRows({ ...order, seed: 2 }, 0)]).not.toEqual(first);
  });

  it("ends an epoch with a short step", () => {
    const order = { rows: 10, batchSize: 4, seed: 0, shuffle: false };
    expect([0, 1, 2, 3].map((step) => [...stepRows(order, step)])).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
      [0, 1, 2, 3],
    ]);
  });
});

describe("stepInputs", () => {
  const dataset: PackedDataset = {
    sequenceLength: 3,
    rows: 2,
    tokens: Int32Array.of(1, 2, 3, 4, 5, 6),
    labels: Int32Array.of(2, 3, IGNORED, IGNORED, 6, IGNORED),
    positions: Int32Array.of(0, 1, 2, 0, 0, 1),
    segmentStart: Int32Array.of(0, 0, 0, 0, 1, 1),
    supervised: Int32Array.of(2, 1),
  };

  it("gathers rows in the order given", () => {
    expect(stepInputs(dataset, Uint32Array.of(1, 0), 2)).toEqual({
      tokens: Int32Array.of(4, 5, 6, 1, 2, 3),
      labels: Int32Array.of(IGNORED, 6, IGNORED, 2, 3, IGNORED),
      positions: Int32Array.of(0, 0, 1, 0, 1, 2),
      segmentStart: Int32Array.of(0, 1, 1, 0, 0, 0),
      supervisedTokens: 3,
    });
  });

  it("fills a short step with rows that are ignored", () => {
    expect(stepInputs(dataset, Uint32Array.of(1), 2)).toEqual({
      tokens: Int32Array.of(4, 5, 6, 0, 0, 0),
      labels: Int32Array.of(IGNORED, 6, IGNORED, IGNORED, IGNORED, IGNORED),
      positions: Int32Array.of(0, 0, 1, 0, 1, 2),
      segmentStart: Int32Array.of(0, 1, 1, 0, 0, 0),
      supervisedTokens: 1,
    });
  });
});
