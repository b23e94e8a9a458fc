/** Rows of several segments take attention less time, and nothing else. */
import { describe, expect, it } from "vitest";
import { compile } from "../../planner/compile.ts";
import { attendedBy, attendedIn, attendedShare } from "../../planner/cost/attended.ts";
import { costModel } from "../../planner/cost/duration.ts";
import { simulatePlan } from "../../planner/simulate/simulate-plan.ts";
import type { Inputs } from "../../schemas/inputs.ts";
import { toyInputs } from "./toy.ts";

/** 40 rows of 512, each of so many segments of one length. */
function packed(segments: number): Inputs {
  const inputs = toyInputs({ length: 512 });
  const length = 512 / segments;
  const pairs = (40 * segments * length * (length + 1)) / 2;
  return { ...inputs, dataset: { ...inputs.dataset!, attended_pairs: pairs } };
}

describe("the part of its rows that attention computes", () => {
  it("is all of rows of one segment, and of rows that nobody knows", () => {
    expect(attendedBy(packed(1))).toBe(1);
    expect(attendedBy({ ...packed(1), dataset: null })).toBe(1);
    for (const length of [1, 64, 65, 4096])
      expect(attendedShare((length * (length + 1)) / 2, 1, length)).toBe(1);
  });

  it("falls with the number of segments, down to a tile for each query", () => {
    const shares = [1, 2, 4, 8, 512].map((segments) => attendedBy(packed(segments)));
    expect(shares).toEqual(shares.toSorted((a, b) => b - a));
    expect(shares.at(-1)).toBeCloseTo(65 / (513 / 2 + 32), 12);
  });
});

it("shortens attention and its backward, and no other op", () => {
  const { plan } = compile(packed(8));
  const { inputs, procedures, meta } = plan!;
  const share = attendedIn(plan!);
  expect(share).toBe(attendedBy(packed(8)));
  expect(share).toBeLessThan(0.5);
  const [all, part] = [1, share].map(
    (attended) => costModel(procedures, meta.hardware as never, attended).call,
  );
  const calls = procedures.flatMap((procedure) => procedure.calls);
  expect(new Set(calls.map(({ op }) => op))).toContain("attention_backward");
  for (const call of calls) {
    const factor = /^attention/.test(call.op) ? share : 1;
    expect(part!(call, "compute"), call.op).toBeCloseTo(factor * all!(call, "compute"), 6);
  }
  // A plan is simulated again as it was when it was made.
  const predicted = plan!.predictions.find(({ program }) => program === "train-step")!.step_ns;
  expect(simulatePlan(plan!).duration).toBe(predicted);
  expect(inputs.dataset!.attended_pairs).toBe(packed(8).dataset!.attended_pairs);
});
