/** What a plan says of the shapes that were weighed. */
import { describe, expect, it } from "vitest";
import { chooseShape } from "../../../planner/passes/choose-shape.ts";
import { scheduleWork } from "../../../planner/passes/realize.ts";
import { candidates } from "../../../planner/shape/candidates.ts";
import {
  gapOf,
  reasonAgainst,
  reasonFor,
  type Standard,
  type Verdict,
  type Winner,
} from "../../../planner/shape/reasons.ts";
import { Search } from "../../../planner/shape/search.ts";
import { timeSchedule } from "../../../planner/shape/time-schedule.ts";
import { buildVariants } from "../../../planner/shape/training-variant.ts";
import { toyInputs } from "../toy.ts";

const GIB = 2 ** 30;
const WINNER: Winner = { time: 1000, scheduled: 1000, moved: 10 * GIB, thrifty: false };
const standard = (chosen: Partial<Winner> = {}): Standard => {
  return { chosen: { ...WINNER, ...chosen }, fastest: 1000, timed: 7 };
};

describe("of the chosen shape", () => {
  it.each<[string, Standard]>([
    ["chosen: the fastest", standard()],
    ["chosen: the fastest", standard({ time: 1010 })],
    ["chosen: the fastest of what was laid out and fits", standard({ time: 1001, scheduled: 1001 })],
    ["chosen: the fastest of what was laid out and fits", standard({ scheduled: null })],
    ["chosen: its traffic is close to its bound", standard({ time: 1008, thrifty: true })],
  ])("%s", (reason, of) => {
    expect(reasonFor(of)).toBe(reason);
  });
});

/** `moved` in GiB. */
const timed = (time: number, moved: number, verdict: Verdict | null = null, of = standard()) =>
  reasonAgainst({ time: 1, moved: moved * GIB }, { time, verdict }, of);
const overBound = (moved: number, bound: number): Verdict => {
  return { kind: "over bound", traffic: { link: "disk", moved: moved * GIB, bound: bound * GIB } };
};

describe("of a shape whose schedule was timed", () => {
  it("is how much slower it is", () => {
    expect(timed(1120, 1)).toBe("slower by 12 %");
    expect(timed(1020, 1, overBound(2, 1))).toBe("slower by 2.0 %");
    expect(timed(2500, 1)).toBe("slower by 150 %");
  });

  it("says so where that is next to nothing", () => {
    expect(timed(1000.4, 1)).toBe("slower by less than 0.1 %");
    expect(timed(1001, 1)).toBe("slower by 0.1 %");
  });

  it("is what it moves more where it is as fast", () => {
    expect(timed(1000, 12.1)).toBe("as fast, moves 2.10 GiB more");
    expect(timed(1000, 10)).toBe("as fast, moves as much");
    expect(timed(1000, 9)).toBe("as fast, moves 1.00 GiB less, not laid out");
  });

  it("is nothing where the chosen one is slower, but for what was not looked at", () => {
    expect(timed(1002.8, 9, null, standard({ time: 1008, thrifty: true }))).toBe(
      "faster by 0.5 %, moves 1.00 GiB less, not laid out",
    );
  });

  it("is what its layout did to it", () => {
    expect(timed(999, 9, { kind: "too large" })).toBe("does not fit once it is laid out");
    expect(timed(999, 9, { kind: "laid out", ns: 1005 })).toBe("slower by 0.5 % once it is laid out");
    expect(timed(999, 9, { kind: "laid out", ns: 1000 })).toBe("as fast once it is laid out");
  });

  it("is the traffic that time is given for", () => {
    const thrifty = standard({ time: 1004, thrifty: true });
    expect(timed(1000, 9, overBound(1.29, 1), thrifty)).toBe(
      "faster by 0.4 %, but 29 % over the bound of disk reads",
    );
    expect(timed(1004, 9, overBound(1.29, 1), thrifty)).toBe(
      "as fast, but 29 % over the bound of disk reads",
    );
    expect(timed(1000, 9, overBound(1.29, 1))).toBe("as fast, also 29 % over the bound of disk reads");
  });

  it("is no share of a bound of nothing, or next to nothing", () => {
    expect(timed(1000, 9, overBound(2, 0))).toBe("as fast, also 2.00 GiB from disk where the bound is 0 B");
    expect(timed(1000, 9, overBound(2, 0.5))).toBe(
      "as fast, also 2.00 GiB from disk where the bound is 512 MiB",
    );
    expect(gapOf({ link: "disk", moved: 0, bound: 0 })).toBe(0);
  });
});

describe("of a shape that was not timed", () => {
  const estimated = (time: number, moved: number) =>
    reasonAgainst({ time, moved: moved * GIB }, { time: null, verdict: null }, standard());

  it("is what the closed form says, and that it is only that", () => {
    expect(estimated(1300, 1)).toBe("by the closed form slower by 30 %, not timed");
    expect(estimated(1000, 11)).toBe(
      "by the closed form as fast, moves 1.00 GiB more, not among the 7 timed",
    );
    expect(estimated(1000, 9)).toBe("by the closed form as fast, moves 1.00 GiB less, not among the 7 timed");
    expect(estimated(900, 11)).toBe(
      "by the closed form faster by 10 %, moves 1.00 GiB more, not among the 7 timed",
    );
  });
});

describe("a search", () => {
  const variants = buildVariants(toyInputs({ ram: 1000 * 2 ** 10, vram: 1600 * 2 ** 10, batch: 2 }));

  it("knows the time of every candidate whose schedule was timed, whichever it came from", () => {
    const all = candidates(variants);
    const search = new Search(all);
    expect(all.every((one) => search.findingOf(one).time === null)).toBe(true);
    search.until(1.03, 64);
    const known = search.ranked.filter((one) => search.findingOf(one).time !== null);
    expect(known.length).toBeGreaterThan(5);
    for (const one of known) {
      const time = timeSchedule(one.variant, scheduleWork(one.variant, one.shape));
      expect(search.findingOf(one)).toEqual({ time, verdict: null });
    }
  });

  it("is told with a reason for each, and the time of each that has one", () => {
    const [chosen, ...others] = chooseShape(variants).choice.candidates;
    expect(chosen!.reason).toMatch(/^chosen: /);
    expect(chosen!.simulated_ns).not.toBeNull();
    for (const { simulated_ns, reason } of others) {
      expect(reason).not.toMatch(/^chosen|NaN|Infinity|undefined/);
      expect(reason.startsWith("by the closed form")).toBe(simulated_ns === null);
    }
    // More than are listed for being the fastest.
    expect(others.filter(({ simulated_ns }) => simulated_ns !== null).length).toBeGreaterThan(6);
  });
});
