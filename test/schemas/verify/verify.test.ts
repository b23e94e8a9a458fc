/** The verifier's own parts: what it accepts as a plan, its interval arithmetic, and its bound. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { diagnosticCodes } from "../../../schemas/diagnostic.ts";
import { estimateId, planId } from "../../../schemas/plan-id.ts";
import { checks, verify } from "../../../schemas/verify/index.ts";
import { IntervalMap, mergeIntervals, overlappingPairs } from "../../../schemas/verify/intervals.ts";
import { bestBound, disjointOnCircle, windowBound } from "../../../schemas/verify/traffic-bound.ts";
import { generationMutants } from "./mutators/generation.ts";
import { mutators } from "./mutators.ts";

describe("verify", () => {
  it("answers with a diagnostic whatever it is given", () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        expect(verify(value).length).toBeGreaterThan(0);
      }),
    );
  });

  it("refuses another major version and names what a plan lacks", () => {
    expect(verify({ format_version: "2.0" }).map(({ code }) => code)).toEqual(["verify.format"]);
    expect(verify({ format_version: "1.7" }).every(({ code }) => code === "verify.schema")).toBe(true);
  });

  it("has checks that explain themselves, and a mutant for every code", () => {
    for (const { proves, codes } of checks) {
      expect(proves.length).toBeGreaterThan(20);
      expect(codes.length).toBeGreaterThan(0);
    }
    const declared = Object.keys(diagnosticCodes).filter((code) => code.startsWith("verify."));
    const provoked = new Set<string>([...mutators, ...generationMutants].flatMap(({ codes }) => codes));
    expect(declared.filter((code) => !provoked.has(code))).toEqual([]);
  });
});

describe("plan ids", () => {
  const plan = {
    units: [],
    predictions: [1],
    meta: { hardware: { name: "a" }, created: null },
    plan_id: "",
    estimate_id: "",
  };

  it("do not depend on the order of keys, on meta or on themselves", () => {
    const { units, ...rest } = plan;
    expect(planId({ ...rest, units, plan_id: "x", meta: null, predictions: [] })).toBe(planId(plan));
    expect(planId({ ...plan, units: [1] })).not.toBe(planId(plan));
  });

  it("separate what a run does from what is believed about the machine", () => {
    expect(estimateId({ ...plan, units: [1] })).toBe(estimateId(plan));
    expect(estimateId({ ...plan, predictions: [2] })).not.toBe(estimateId(plan));
    expect(estimateId({ ...plan, meta: { hardware: { name: "b" } } })).not.toBe(estimateId(plan));
  });
});

const interval = fc.tuple(fc.nat(40), fc.nat(12)).map(([start, bytes]) => ({ start, end: start + bytes }));
const bytesOf = (intervals: readonly { start: number; end: number }[]) =>
  new Set(intervals.flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i)));

describe("intervals", () => {
  it("merge to the same bytes, sorted and apart", () => {
    fc.assert(
      fc.property(fc.array(interval), (intervals) => {
        const merged = mergeIntervals(intervals);
        expect(bytesOf(merged)).toEqual(bytesOf(intervals));
        merged.slice(1).forEach(({ start }, i) => {
          expect(start).toBeGreaterThan(merged[i]!.end);
        });
      }),
    );
  });

  it("overlap exactly when bytes are counted twice", () => {
    fc.assert(
      fc.property(fc.array(interval), (intervals) => {
        const counted = intervals.reduce((sum, { start, end }) => sum + end - start, 0);
        expect(overlappingPairs(intervals).length > 0).toBe(counted > bytesOf(intervals).size);
      }),
    );
  });

  it("map every byte to the last value given to it", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(interval, fc.option(fc.nat(3), { nil: undefined }))), (assignments) => {
        const map = new IntervalMap<number>();
        const bytes = new Map<number, number | undefined>();
        for (const [{ start, end }, value] of assignments) {
          map.assign(start, end, value);
          for (let byte = start; byte < end; byte++) bytes.set(byte, value);
        }
        for (const { start, end, value } of map.pieces(0, 60)) {
          for (let byte = start; byte < end; byte++) expect(value).toBe(bytes.get(byte));
        }
      }),
    );
  });
});

/** Fewest bytes that a cycle of touches loads per repetition with unit-sized slots, by trying every eviction. */
function fewestLoads(cycle: readonly number[], slots: number): number {
  const repetitions = 6;
  let states = new Map<string, number>([["", 0]]);
  const ends: number[] = [];
  for (let repetition = 0; repetition < repetitions; repetition++) {
    for (const unit of cycle) {
      const next = new Map<string, number>();
      const reach = (held: readonly number[], loads: number) => {
        const key = [...held].sort((a, b) => a - b).join();
        next.set(key, Math.min(next.get(key) ?? Number.POSITIVE_INFINITY, loads));
      };
      for (const [key, loads] of states) {
        const held = key === "" ? [] : key.split(",").map(Number);
        if (held.includes(unit)) reach(held, loads);
        else if (held.length < slots) reach([...held, unit], loads + 1);
        else for (const evicted of held) reach([...held.filter((one) => one !== evicted), unit], loads + 1);
      }
      states = next;
    }
    ends.push(Math.min(...states.values()));
  }
  return Math.ceil((ends.at(-1)! - ends.at(-3)!) / 2);
}

describe("the traffic bound", () => {
  it("is 2(L − k) for L equal units up and down through k slots", () => {
    for (const [layers, slots] of [
      [6, 2],
      [6, 3],
      [8, 5],
      [4, 4],
    ] as const) {
      const up = Array.from({ length: layers }, (_, i) => ({
        unit: String(i),
        bytes: 10,
        capacity: 10 * slots,
      }));
      for (const meet of [false, true]) {
        expect(bestBound([...up, ...up.toReversed()], meet)).toBe(2 * (layers - slots) * 10);
      }
    }
  });

  it("is never above what the best of all eviction orders moves, and mostly that", () => {
    let reached = 0;
    fc.assert(
      fc.property(
        fc.array(fc.nat(4), { minLength: 1, maxLength: 7 }),
        fc.integer({ min: 1, max: 4 }),
        (cycle, slots) => {
          const touches = cycle.map((unit) => ({ unit: String(unit), bytes: 1, capacity: slots }));
          const bound = bestBound(touches, true);
          const best = fewestLoads(cycle, slots);
          expect(bound).toBeLessThanOrEqual(best);
          expect(bestBound(touches, false)).toBeLessThanOrEqual(bound);
          if (bound === best) reached++;
        },
      ),
      { numRuns: 200, seed: 1 },
    );
    expect(reached).toBeGreaterThan(180);
  });

  it("knows that the place of what a step touches once serves neither turn, where windows may meet", () => {
    const chain = ["a", "b", "c", "d"].map((unit) => ({ unit, bytes: 3, capacity: 12 }));
    const cycle = [{ unit: "table", bytes: 5, capacity: 12 }, ...chain, ...chain.toReversed()];
    expect(bestBound(cycle, true)).toBe(2 * (12 - (12 - 5)));
    expect(bestBound(cycle, false)).toBe(2 * (12 - (12 - 5)) - 5);
    expect(
      disjointOnCircle(
        [
          { start: 0, end: 5 },
          { start: 4, end: 10 },
        ],
        9,
        true,
      ),
    ).toBe(true);
    expect(
      disjointOnCircle(
        [
          { start: 0, end: 5 },
          { start: 3, end: 10 },
        ],
        9,
        true,
      ),
    ).toBe(false);
    expect(
      disjointOnCircle(
        [
          { start: 0, end: 1 },
          { start: 0, end: 9 },
        ],
        9,
        true,
      ),
    ).toBe(false);
  });

  it("counts a unit once per window, and windows only when they are apart", () => {
    const touches = [3, 1, 3].map((bytes, i) => ({ unit: String(i % 2), bytes, capacity: [1, 1, 0][i]! }));
    expect(windowBound(touches, { start: 0, end: 3 })).toBe(3);
    expect(windowBound(touches, { start: 2, end: 5 })).toBe(4);
    expect(
      disjointOnCircle(
        [
          { start: 0, end: 2 },
          { start: 2, end: 3 },
        ],
        3,
        false,
      ),
    ).toBe(true);
    expect(
      disjointOnCircle(
        [
          { start: 0, end: 2 },
          { start: 1, end: 3 },
        ],
        3,
        false,
      ),
    ).toBe(false);
    expect(disjointOnCircle([{ start: 1, end: 4 }], 3, false)).toBe(true);
    expect(disjointOnCircle([{ start: 1, end: 5 }], 3, false)).toBe(false);
    expect(
      disjointOnCircle(
        [
          { start: 2, end: 4 },
          { start: 0, end: 2 },
        ],
        3,
        false,
      ),
    ).toBe(false);
  });
});
