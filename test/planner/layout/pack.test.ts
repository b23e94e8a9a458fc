import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findFault } from "../../../bench/layout-instances.ts";
import { greedy } from "../../../planner/layout/first-fit.ts";
import { type Block, maxLive, pack } from "../../../planner/layout/pack.ts";
import { cutRectangle } from "./oracle.ts";

const block = fc
  .record({
    start: fc.nat(20),
    length: fc.integer({ min: 1, max: 8 }),
    units: fc.integer({ min: 1, max: 50 }),
  })
  .map(
    ({ start, length, units }): Block => ({ start, end: start + length, bytes: units * 16, alignment: 16 }),
  );

describe("pack", () => {
  it("gives overlapping lifetimes disjoint aligned bytes and never less than the live maximum", () => {
    fc.assert(
      fc.property(fc.array(block, { maxLength: 40 }), (blocks) => {
        const { offsets, height } = pack(blocks);
        expect(findFault(blocks, offsets, height)).toBeUndefined();
        expect(height).toBeGreaterThanOrEqual(maxLive(blocks));
      }),
      { seed: 2, numRuns: 300 },
    );
  });

  it("looks no further than the bytes that are free anyway", () => {
    for (const seed of [0, 1, 2]) {
      const blocks = cutRectangle(100, seed);
      const easy = greedy(blocks, Number.POSITIVE_INFINITY);
      expect(pack(blocks, easy.height)).toEqual(easy);
      expect(pack(blocks).height).toBeLessThan(easy.height);
      expect(pack(blocks, maxLive(blocks) - 1)).toEqual(pack(blocks));
    }
  });

  it("packs nested lifetimes, a stack, without waste", () => {
    const blocks = Array.from(
      { length: 12 },
      (_, i): Block => ({ start: i, end: 24 - i, bytes: 64, alignment: 64 }),
    );
    expect(pack(blocks).height).toBe(maxLive(blocks));
  });

  it("packs without waste where first fit wastes", () => {
    for (const seed of [0, 1, 2]) {
      const blocks = cutRectangle(100, seed);
      expect(greedy(blocks, 0).height).toBeGreaterThan(maxLive(blocks));
      expect(pack(blocks).height).toBe(maxLive(blocks));
    }
  });
});
