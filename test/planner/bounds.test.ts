import { describe, expect, it } from "vitest";
import { gapPpm, windowBound } from "../../planner/cost/bounds.ts";
import { replaceAndRestore, steadyState } from "../../planner/ir/belady.ts";
import { gapPpm as verifiedGapPpm } from "../../schemas/verify/check-bounds.ts";

const chain = (layers: number) => {
  const up = Array.from({ length: layers }, (_, layer) => ({ unit: `L${layer}`, bytes: 100 }));
  return [...up, ...up.toReversed()];
};

describe("gapPpm", () => {
  it.each([
    [100, 100, 0],
    [103, 100, 30_000],
    [3, 1, 2_000_000],
    // (moved − bound) · 10⁶ is beyond 2^53, where floats round.
    [30_000_000_007, 20_000_000_001, 500_000],
    // All of 20 GB is above a bound of nothing: no integer of JSON holds that.
    [20_000_000_000, 0, Number.MAX_SAFE_INTEGER],
  ])("of %i bytes over %i is %i, as the verifier says too", (moved, bound, ppm) => {
    expect(gapPpm(moved, bound)).toBe(ppm);
    expect(verifiedGapPpm(moved, bound)).toBe(ppm);
  });
});

describe("windowBound", () => {
  it("is 2(W−C) for a chain of equal units, at every capacity", () => {
    for (let capacity = 100; capacity <= 1000; capacity += 100) {
      for (const sharing of [false, true])
        expect(windowBound(chain(10), () => capacity, sharing).bytes).toBe(2 * (1000 - capacity));
    }
  });

  it("never exceeds what Belady's replacement loads", () => {
    for (const heads of [0, 1, 2, 3]) {
      for (let slots = 2; slots <= 6; slots++) {
        const up = Array.from({ length: 6 }, (_, layer) => ({ unit: `L${layer}`, bytes: 100 }));
        const head = Array.from({ length: heads }, (_, i) => ({ unit: `h${i}`, bytes: 100 }));
        const cycle = [...up, ...head, ...up.toReversed()];
        const order = cycle.map(({ unit }) => unit);
        const loads = replaceAndRestore(order, steadyState(order, slots), order).length * 100;
        expect(windowBound(cycle, () => slots * 100, true).bytes).toBeLessThanOrEqual(loads);
      }
    }
  });
});
