import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Block, maxLive, pack } from "../../planner/layout/pack.ts";

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
        blocks.forEach((a, i) => {
          expect(offsets[i]! % a.alignment).toBe(0);
          expect(offsets[i]! + a.bytes).toBeLessThanOrEqual(height);
          blocks.slice(i + 1).forEach((b, k) => {
            const j = i + 1 + k;
            const together = a.start < b.end && b.start < a.end;
            const share = offsets[i]! < offsets[j]! + b.bytes && offsets[j]! < offsets[i]! + a.bytes;
            expect(together && share).toBe(false);
          });
        });
        expect(height).toBeGreaterThanOrEqual(maxLive(blocks));
      }),
      { seed: 2, numRuns: 300 },
    );
  });

  it("packs nested lifetimes, a stack, without waste", () => {
    const blocks = Array.from(
      { length: 12 },
      (_, i): Block => ({ start: i, end: 24 - i, bytes: 64, alignment: 64 }),
    );
    expect(pack(blocks).height).toBe(maxLive(blocks));
  });
});
