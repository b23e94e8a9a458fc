import { describe, expect, it } from "vitest";
import { learningRate, type Schedule } from "../../runtime/schedule.ts";

/** `get_last_lr()` before each step, from Transformers 5.23.0 with lr 2e-3, 3 warm-up steps of 10. */
const TRANSFORMERS = {
  constant: [
    0, 0.0006666666666666666, 0.0013333333333333333, 0.002, 0.002, 0.002, 0.002, 0.002, 0.002, 0.002,
  ],
  linear: [
    0, 0.0006666666666666666, 0.0013333333333333333, 0.002, 0.0017142857142857142, 0.0014285714285714286,
    0.0011428571428571427, 0.0008571428571428571, 0.0005714285714285714, 0.0002857142857142857,
  ],
  cosine: [
    0, 0.0006666666666666666, 0.0013333333333333333, 0.002, 0.001900968867902419, 0.0016234898018587336,
    0.0012225209339563144, 0.0007774790660436857, 0.0003765101981412665, 9.903113209758097e-5,
  ],
} as const;

const schedule = (type: keyof typeof TRANSFORMERS, warmup_steps: number, steps = 10): Schedule => ({
  learning_rate: 2e-3,
  schedule: { type, warmup_steps },
  steps,
});

describe("learningRate", () => {
  it.each(["constant", "linear", "cosine"] as const)("is Transformers' %s schedule", (type) => {
    for (const [step, expected] of TRANSFORMERS[type].entries()) {
      const actual = learningRate(schedule(type, 3), step);
      expect(Math.abs(actual - expected)).toBeLessThanOrEqual(expected * 1e-15);
    }
  });

  it("begins at the full rate without a warm-up", () => {
    for (const type of ["constant", "linear", "cosine"] as const) {
      expect(learningRate(schedule(type, 0), 0)).toBe(2e-3);
    }
  });

  it("survives a warm-up as long as the training", () => {
    expect(learningRate(schedule("linear", 10), 9)).toBeCloseTo(0.0018, 12);
    expect(learningRate(schedule("cosine", 1, 1), 0)).toBe(0);
  });
});
