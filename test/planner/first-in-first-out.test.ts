/** A ring that goes round: every unit is there when it is touched, and a round ends as it began. */
import { describe, expect, it } from "vitest";
import { roundLoads, roundState } from "../../planner/ir/first-in-first-out.ts";

const cycleOf = (units: number) => Array.from({ length: units }, (_, index) => `L${index}`);

describe.each([1, 2, 3, 4, 7])("%i units", (units) => {
  it.each([1, 2, 3, 5])("in %i slots", (slots) => {
    const cycle = cycleOf(units);
    const start = roundState(cycle, slots);
    const loads = roundLoads(cycle, slots);
    const holding = [...start];
    const follow = (touch: number) => {
      for (const load of loads.filter((one) => one.touch === touch)) {
        expect(holding[load.slot]).toBe(load.evicts);
        holding[load.slot] = load.unit;
      }
    };
    cycle.forEach((unit, touch) => {
      follow(touch);
      expect(holding).toContain(unit);
    });
    follow(units);
    expect(holding).toEqual(start);
    expect(loads).toHaveLength(units > slots ? units : 0);
  });
});

it("loads a unit when the one that was longest in the ring has been used", () => {
  expect(roundLoads(cycleOf(5), 2)).toEqual([
    { touch: 2, unit: "L2", slot: 0, evicts: "L0" },
    { touch: 3, unit: "L3", slot: 1, evicts: "L1" },
    { touch: 4, unit: "L4", slot: 0, evicts: "L2" },
    { touch: 5, unit: "L1", slot: 1, evicts: "L3" },
    { touch: 5, unit: "L0", slot: 0, evicts: "L4" },
  ]);
});
