/**
 * The cuda backend on the emulated device, and on a real one where it is: streams, events, pinned memory and every
 * kernel that a step uses, in whole training steps. Streamed equals resident bit for bit; the cpu backend agrees within
 * rounding.
 */
import { describe, expect, it } from "vitest";
import { smallestMemory } from "../../planner/smallest-memory.ts";
import { caseInputs, type MachineOptions, readCase } from "./case.ts";
import { hasBackend } from "./has-backend.ts";
import { bitsOf, type CaseRun, relativeError, runCase } from "./run-case.ts";

const STEPS = 2;

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

describe.each(cases)("$name in $precision on $backend", ({ name, precision, backend }) => {
  it.skipIf(!hasBackend(backend))(
    "gives the same bits from the smallest vram to everything resident, and the cpu's numbers",
    async () => {
      const parity = await readCase(name);
      const vram = smallestMemory(await caseInputs(parity, { precision, vram: 2 ** 34, microBatch: 1 })).vram!
        .total;
      const resident = await runCase(parity, await caseInputs(parity, { precision, vram: 2 ** 32 }), {
        steps: STEPS,
        backend,
      });
      const machines: MachineOptions[] = [
        { precision, vram, microBatch: 1 },
        { precision, vram: Math.ceil(1.2 * vram) },
      ];
      for (const machine of machines) {
        const run = await runCase(parity, await caseInputs(parity, machine), { steps: STEPS, backend });
        expect(bits(run), JSON.stringify(machine)).toEqual(bits(resident));
      }
      const inputs = await caseInputs(parity, { precision, vram, microBatch: 1 });
      const serial = await runCase(parity, inputs, { steps: STEPS, backend, serialLanes: true });
      expect(bits(serial)).toEqual(bits(resident));
      const cpu = await runCase(parity, inputs, { steps: STEPS });
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
