/** Activations wait in ram where it has room that weights do not need, and recomputing takes longer than the copies. */
import { expect, it } from "vitest";
import type { Shape } from "../../../planner/ir/schedule.ts";
import { chooseShape } from "../../../planner/passes/choose-shape.ts";
import { buildVariants } from "../../../planner/shape/training-variant.ts";
import type { HardwareProfile } from "../../../schemas/hardware.ts";
import { toyInputs } from "../toy.ts";

const MIB = 2 ** 20;

function chosenWith(ram: number, links: HardwareProfile["links"]): { shape: Shape; step_ns: number } {
  const inputs = toyInputs({ layers: 8, length: 256, batch: 4, ram, vram: 12 * MIB });
  const { shape, choice } = chooseShape(
    buildVariants({ ...inputs, hardware: { ...inputs.hardware, links } }),
  );
  return { shape, step_ns: choice.candidates[0]!.simulated_ns! };
}

const links = (bandwidth: number) => ({ h2d_bandwidth: bandwidth, d2h_bandwidth: bandwidth, pinned: true });
const QUICK = links(50e9);

it("activations wait in ram that weights leave, and the step is shorter", () => {
  const little = chosenWith(12 * MIB, QUICK);
  const much = chosenWith(32 * MIB, QUICK);
  expect(little.shape.keepInRam).toBe(0);
  expect(much.shape.keepInRam).toBeGreaterThan(0);
  expect(much.step_ns).toBeLessThan(0.95 * little.step_ns);
});

it("over a slow link recomputing them is quicker", () => {
  expect(chosenWith(32 * MIB, links(0.2e9)).shape.keepInRam).toBe(0);
});
