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
  const little = chosenWith(8 * MIB, QUICK);
  const much = chosenWith(32 * MIB, QUICK);
  expect(little.shape.keepInRam).toBe(0);
  expect(much.shape.keepInRam).toBeGreaterThan(0);
  expect(much.step_ns).toBeLessThan(0.95 * little.step_ns);
});

it("over a slow link recomputing them is quicker", () => {
  expect(chosenWith(32 * MIB, links(0.2e9)).shape.keepInRam).toBe(0);
});

it("numbers that are spread over stages of one size alone do not hide better ones", () => {
  const inputs = toyInputs({ layers: 5, length: 32, batch: 4, ram: 5 * MIB, vram: 2 * MIB });
  const disk = { ...inputs.hardware.disk, bandwidth: 4e8, latency_ns: 1000 };
  const { shape } = chooseShape(buildVariants({ ...inputs, hardware: { ...inputs.hardware, disk } }));
  // Five of ten are the attention stages, which spare little.
  expect(shape.keepInRam).toBe(10);
});
