/**
 * Streamed equals resident, bit for bit: every gradient of three consecutive steps and every parameter after them, over
 * plans with different residency, micro-batch, tiers and traffic, threads and lane orders.
 */
import { describe, expect, it } from "vitest";
import { smallestMemory } from "../../planner/smallest-memory.ts";
import { caseInputs, type MachineOptions, type ParityCase, readCase } from "./case.ts";
import { bitsOf, type CaseRun, runCase } from "./run-case.ts";

const STEPS = 3;

async function smallest(parity: ParityCase, tier: "ram" | "vram"): Promise<number> {
  const inputs = await caseInputs(parity, { [tier]: 2 ** 34, microBatch: 1 });
  return smallestMemory(inputs)[tier]!.total;
}

function bits({ losses, gradNorms, gradients, parameters }: CaseRun): readonly string[] {
  return [JSON.stringify([losses, gradNorms]), ...gradients.map(bitsOf), bitsOf(parameters)];
}

describe.each(["accumulation", "odd", "bf16_shards"])("%s", (name) => {
  it("gives the same bits from the smallest budget to everything resident", async () => {
    const parity = await readCase(name);
    const ram = await smallest(parity, "ram");
    const vram = await smallest(parity, "vram");
    const machines: MachineOptions[] = [
      { ram, microBatch: 1 },
      { ram: Math.ceil(1.15 * ram) },
      { ram: Math.ceil(1.5 * ram), microBatch: 1 },
      { microBatch: 1 },
      { vram, microBatch: 1 },
      { vram: Math.ceil(1.2 * vram) },
      { vram: 2 ** 32 },
    ];
    const resident = await runCase(parity, await caseInputs(parity), { steps: STEPS });
    expect(resident.bytesRead.reduce((a, b) => a + b, 0)).toBe(0);
    const traffic = new Set<number>();
    for (const machine of machines) {
      const run = await runCase(parity, await caseInputs(parity, machine), { steps: STEPS });
      expect(bits(run), JSON.stringify(machine)).toEqual(bits(resident));
      traffic.add(run.plan.bounds.find(({ program }) => program === "train-step")!.moved);
    }
    expect(traffic.size).toBeGreaterThanOrEqual(3);
  });

  it("gives the same bits for one and two threads, and with one lane after another", async () => {
    const parity = await readCase(name);
    const inputs = await caseInputs(parity, { ram: await smallest(parity, "ram"), microBatch: 1 });
    const base = bits(await runCase(parity, inputs, { steps: STEPS }));
    expect(bits(await runCase(parity, inputs, { steps: STEPS, threads: 1 }))).toEqual(base);
    expect(bits(await runCase(parity, inputs, { steps: STEPS, serialLanes: true }))).toEqual(base);
    expect(bits(await runCase(parity, inputs, { steps: STEPS, diskThrottle: 2_000_000 }))).toEqual(base);
  });
});
