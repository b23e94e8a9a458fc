import { describe, expect, it } from "vitest";
import { inverseTokens, scalarsOf } from "../../runtime/scalars.ts";

const optimizer = { type: "adamw", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 } as const;
const sources = { optimizer, learningRate: 1e-4, supervisedTokens: 3 };

describe("scalarsOf", () => {
  it("corrects the bias as torch.optim.AdamW does, in double precision and rounded once", () => {
    expect(scalarsOf({ ...sources, adamSteps: 0 })).toEqual({
      inverse_tokens: 0.3333333432674408,
      step_size: 0.0010000000474974513,
      decay: 0.9999989867210388,
      bias_correction: 0.03162277489900589,
    });
    const second = scalarsOf({ ...sources, adamSteps: 1 });
    expect([second.step_size, second.bias_correction]).toEqual([0.0005263157654553652, 0.044710177928209305]);
    const late = scalarsOf({ ...sources, adamSteps: 999 });
    expect([late.step_size, late.bias_correction]).toEqual([9.999999747378752e-5, 0.7951757907867432]);
  });

  it("gives a loss of 0, not NaN, where nothing is supervised", () => {
    expect(inverseTokens(0)).toBe(0);
    expect(inverseTokens(4)).toBe(0.25);
  });
});
