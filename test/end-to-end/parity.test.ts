/**
 * Loss, every LoRA gradient and 20 AdamW steps against Transformers + PEFT in float32 (DESIGN §10), from the committed
 * goldens; `test/parity` shows that those come from the pinned libraries.
 */
import { describe, expect, it } from "vitest";
import { caseInputs, caseNames, readCase } from "./case.ts";
import { distance, relativeError, runCase } from "./run-case.ts";

const LOSS_TOLERANCE = 1e-5;
const GRADIENT_TOLERANCE = 1e-4;
const TRAVEL_TOLERANCE = 1e-3;
const STEPS = 20;

describe.each(caseNames())("%s", (name) => {
  it("has the reference's loss and gradients, and its parameters after 20 steps", async () => {
    const parity = await readCase(name);
    const { expected } = parity;
    const run = await runCase(parity, await caseInputs(parity), { steps: STEPS });
    const loss = expected.get("loss")![0]!;
    expect(Math.abs(run.losses[0]! - loss) / loss).toBeLessThan(LOSS_TOLERANCE);
    expect(run.gradients[0]!.size).toBeGreaterThan(0);
    for (const [parameter, gradient] of run.gradients[0]!) {
      const error = relativeError(gradient, expected.get(`grad.${parameter}`)!);
      expect(error, parameter).toBeLessThan(GRADIENT_TOLERANCE);
    }
    for (const [parameter, value] of run.parameters) {
      const reference = expected.get(`param20.${parameter}`)!;
      const travelled = distance(reference, expected.get(`param0.${parameter}`)!);
      expect(distance(value, reference) / travelled, parameter).toBeLessThan(TRAVEL_TOLERANCE);
    }
  });
});

it("would notice a gradient that is off by a thousandth", async () => {
  const parity = await readCase("base");
  const run = await runCase(parity, await caseInputs(parity), { steps: 1 });
  for (const [parameter, gradient] of run.gradients[0]!) {
    const off = gradient.map((x) => x * 1.001);
    expect(relativeError(off, parity.expected.get(`grad.${parameter}`)!)).toBeGreaterThan(GRADIENT_TOLERANCE);
  }
});
