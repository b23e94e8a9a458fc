import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { replace, replaceAndRestore, steadyState } from "../../planner/ir/belady.ts";

/** Fewest loads by trying every victim at every miss. */
function exhaustive(touches: readonly string[], slots: readonly (string | null)[]): number {
  const [first, ...rest] = touches;
  if (first === undefined) return 0;
  if (slots.includes(first)) return exhaustive(rest, slots);
  return (
    1 +
    Math.min(
      ...slots.map((_, victim) =>
        exhaustive(
          rest,
          slots.map((unit, i) => (i === victim ? first : unit)),
        ),
      ),
    )
  );
}

const chain = (layers: number) => {
  const up = Array.from({ length: layers }, (_, layer) => `L${layer}`);
  return [...up, ...up.toReversed()];
};

describe("replace", () => {
  it("loads as little as exhaustive search on random sequences", () => {
    const units = fc.constantFrom("a", "b", "c", "d", "e");
    fc.assert(
      fc.property(fc.array(units, { maxLength: 9 }), fc.integer({ min: 1, max: 3 }), (touches, count) => {
        const empty = new Array<null>(count).fill(null);
        expect(replace(touches, empty, []).loads.length).toBe(exhaustive(touches, empty));
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  it.each([
    [4, 2],
    [7, 3],
    [12, 5],
    [32, 3],
  ])("reloads exactly 2(L−k) units of %i with %i slots in the steady state", (layers, slots) => {
    const cycle = chain(layers);
    const state = steadyState(cycle, slots);
    expect(state).toEqual(Array.from({ length: slots }, (_, slot) => `L${slot}`));
    expect(replaceAndRestore(cycle, state, cycle).length).toBe(2 * (layers - slots));
  });

  it("closes the cycle with head chunks at the turn", () => {
    const up = ["L0", "L1", "L2", "L3", "L4"];
    const cycle = [...up, "head/0", "head/1", ...up.toReversed()];
    const state = steadyState(cycle, 3);
    const loads = replaceAndRestore(cycle, state, cycle);
    const end = [...state];
    for (const { slot, unit } of loads) end[slot] = unit;
    expect(end).toEqual(state);
  });
});
