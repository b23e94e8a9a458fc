/**
 * The cuda backend on the emulated device, and on a real one where it is: streams, events, pinned memory and every
 * kernel that a step uses, in whole training steps. Streamed equals resident bit for bit; the cpu backend agrees within
 * rounding.
 */
import { describe, expect, it } from "vitest";
import { smallestMemory } from "../../planner/smallest-memory.ts";
import type { Plan } from "../../schemas/plan.ts";
import { caseInputs, type MachineOptions, readCase } from "./case.ts";
import { hasBackend } from "./has-backend.ts";
import { bitsOf, type CaseRun, relativeError, runCase } from "./run-case.ts";

function bits({ losses, gradNorms, gradients, parameters }: CaseRun): readonly string[] {
  return [JSON.stringify([losses, gradNorms]), ...gradients.map(bitsOf), bitsOf(parameters)];
}

/** What two backends may differ by, relative: in bf16 a sum's last bit can become the last bit of an activation. */
const TOLERANCES = {
  f32: { loss: 1e-6, gradient: 1e-5 },
  fp16: { loss: 1e-6, gradient: 1e-5 },
  bf16: { loss: 1e-4, gradient: 2e-2 },
} as const;

const cases = (
  [
    ["accumulation", "f32"],
    ["bf16_shards", "f32"],
    ["bf16_shards", "bf16"],
    ["bf16_packing", "bf16"],
    ["fp16", "fp16"],
  ] as const
).flatMap(([name, precision]) =>
  (["cuda-emulated", "cuda"] as const).map((backend) => ({ name, precision, backend })),
);

interface Extent {
  readonly steps: number;
  readonly budgets: number;
}

/** The emulated device takes a second and more for a step; what a budget changes, two cases show. */
const extentOf = (name: string, backend: string): Extent =>
  backend === "cuda" || name === "accumulation" || name === "fp16"
    ? { steps: 3, budgets: 6 }
    : { steps: 2, budgets: 2 };

/** Machines from the smallest vram, in equal ratios, half the way to what `resident` takes: all of them stream. */
function machinesBelow(resident: Plan, smallest: number, { budgets }: Extent): readonly MachineOptions[] {
  const ratio = resident.budgets.vram!.arena / smallest;
  return Array.from({ length: budgets }, (_, index) => ({
    vram: Math.ceil(smallest * ratio ** (index / (2 * budgets))),
    ...(index === 0 && { microBatch: 1 }),
  }));
}

const bytesToDevice = ({ programs }: Plan): number =>
  programs["train-step"].steady.reduce((sum, { lane, bytes }) => sum + (lane === "h2d" ? bytes : 0), 0);

describe.each(cases)("$name in $precision on $backend", ({ name, precision, backend }) => {
  it.skipIf(!hasBackend(backend))(
    "gives the same bits from the smallest vram to everything resident, and the cpu's numbers",
    async () => {
      const parity = await readCase(name);
      const extent = extentOf(name, backend);
      const { steps } = extent;
      const inputsOn = (machine: MachineOptions) => caseInputs(parity, { precision, ...machine });
      const smallest = smallestMemory(await inputsOn({ vram: 2 ** 34, microBatch: 1 })).vram!.total;
      const resident = await runCase(parity, await inputsOn({ vram: 2 ** 32 }), { steps, backend });
      const machines = machinesBelow(resident.plan, smallest, extent);
      const plans = new Set<string>();
      for (const machine of machines) {
        const run = await runCase(parity, await inputsOn(machine), { steps, backend });
        expect(bits(run), JSON.stringify(machine)).toEqual(bits(resident));
        expect(bytesToDevice(run.plan)).toBeGreaterThan(bytesToDevice(resident.plan));
        plans.add(run.plan.plan_id);
      }
      expect(plans.size).toBe(extent.budgets);
      const inputs = await inputsOn(machines[0]!);
      const serial = await runCase(parity, inputs, { steps, backend, serialLanes: true });
      expect(bits(serial)).toEqual(bits(resident));
      const cpu = await runCase(parity, inputs, { steps });
      resident.losses.forEach((loss, step) => {
        expect(Math.abs(loss / cpu.losses[step]! - 1)).toBeLessThan(TOLERANCES[precision].loss);
      });
      resident.gradients.forEach((gradients, step) => {
        for (const [parameter, gradient] of gradients) {
          expect(relativeError(gradient, cpu.gradients[step]!.get(parameter)!), parameter).toBeLessThan(
            TOLERANCES[precision].gradient,
          );
        }
      });
    },
  );
});
