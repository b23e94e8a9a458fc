/**
 * The cuda backend on the emulated device, and on a real one where it is: streams, events, pinned memory and every
 * kernel that a step uses, in whole training steps. Streamed equals resident bit for bit; the cpu backend, or in bf16 the
 * float32 reference, agrees within rounding.
 */
import { afterEach, describe, expect, it } from "vitest";
import { smallestMemory } from "../../planner/smallest-memory.ts";
import { machineOf, nativeDevice } from "../../runtime/addon.ts";
import type { Plan } from "../../schemas/plan.ts";
import { caseInputs, type MachineOptions, type ParityCase, readCase } from "./case.ts";
import { hasBackend } from "./has-backend.ts";
import { bitsOf, type CaseRun, relativeError, runCase } from "./run-case.ts";

function bits({ losses, gradNorms, gradients, parameters }: CaseRun): readonly string[] {
  return [JSON.stringify([losses, gradNorms]), ...gradients.map(bitsOf), bitsOf(parameters)];
}

/** What two backends may differ by where activations are float32, relative. */
const TOLERANCES = { loss: 1e-6, gradient: 1e-5 };
/** The contract's (test/parity/precision.py): so many times as far from the float32 reference as PyTorch in that precision. */
const MARGIN = 1.5;

function checkAgainst(cpu: CaseRun, run: CaseRun): void {
  run.losses.forEach((loss, step) => {
    expect(Math.abs(loss / cpu.losses[step]! - 1)).toBeLessThan(TOLERANCES.loss);
  });
  run.gradients.forEach((gradients, step) => {
    for (const [parameter, gradient] of gradients) {
      const error = relativeError(gradient, cpu.gradients[step]!.get(parameter)!);
      expect(error, parameter).toBeLessThan(TOLERANCES.gradient);
    }
  });
}

/**
 * The first step in bf16, or where products round to f16. Two backends are not compared there: a sum's last bit becomes
 * the last bit of an activation (of queries, keys and values too, which are bf16), and a tensor core's sums are its own,
 * so that each is held to the reference instead.
 */
function checkAgainstReference(
  { losses, gradients }: CaseRun,
  { expected }: ParityCase,
  precision: "bf16" | "fp16",
): void {
  const allowed = (key: string) => MARGIN * expected.get(`${precision}.distance.${key}`)![0]!;
  expect(Math.abs(losses[0]! / expected.get("loss")![0]! - 1)).toBeLessThan(allowed("loss"));
  for (const [parameter, gradient] of gradients[0]!) {
    const error = relativeError(gradient, expected.get(`grad.${parameter}`)!);
    expect(error, parameter).toBeLessThan(allowed(`grad.${parameter}`));
  }
}

/** Older devices do, kernels that were compiled for one as well; the emulated device where it is told to. */
const mayRoundToF16 = (backend: "cuda-emulated" | "cuda"): boolean =>
  backend === "cuda" && (process.env.CUDA_FORCE_PTX_JIT === "1" || nativeDevice(backend).capability < 80);

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

interface Streamed {
  readonly precision: "f32" | "bf16" | "fp16";
  readonly backend: "cuda-emulated" | "cuda";
  readonly extent: Extent;
}

/** Runs with everything resident and with less, on lanes side by side and one after the other, and compares every bit. */
async function streamedAsResident(
  parity: ParityCase,
  { precision, backend, extent }: Streamed,
): Promise<{ readonly resident: CaseRun; readonly inputs: Awaited<ReturnType<typeof caseInputs>> }> {
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
  return { resident, inputs };
}

const bytesToDevice = ({ programs }: Plan): number =>
  programs["train-step"].steady.reduce((sum, { lane, bytes }) => sum + (lane === "h2d" ? bytes : 0), 0);

describe.each(cases)("$name in $precision on $backend", ({ name, precision, backend }) => {
  it.skipIf(!hasBackend(backend))(
    "gives the same bits from the smallest vram to everything resident, and the cpu's numbers",
    async () => {
      const parity = await readCase(name);
      const extent = extentOf(name, backend);
      const { resident, inputs } = await streamedAsResident(parity, { precision, backend, extent });
      if (precision !== "f32") checkAgainstReference(resident, parity, precision);
      const inFloat32 = precision === "f32" || (precision === "fp16" && !mayRoundToF16(backend));
      if (inFloat32) checkAgainst(await runCase(parity, inputs, { steps: extent.steps }), resident);
    },
  );
});

describe("fp16 on tensor cores that have f16 and no bf16", () => {
  afterEach(() => {
    delete process.env.LEMA_EMULATED_PTX;
  });

  // Sequences of the second are long enough that gradients of weights are products in f16 too.
  it.skipIf(!hasBackend("cuda-emulated")).each(["fp16", "rope_llama3"])(
    "rounds in steps of %s, streamed with the bits of resident, and no farther from the reference than PyTorch",
    async (name) => {
      const backend = "cuda-emulated";
      const parity = await readCase(name);
      process.env.LEMA_EMULATED_PTX = "75";
      const extent = { steps: 1, budgets: 1 };
      const { resident } = await streamedAsResident(parity, { precision: "fp16", backend, extent });
      if (name === "fp16") checkAgainstReference(resident, parity, "fp16");
      delete process.env.LEMA_EMULATED_PTX;
      const inputs = await caseInputs(parity, { precision: "fp16", vram: 2 ** 32 });
      const float32 = await runCase(parity, inputs, { steps: 1, backend });
      expect(bits(float32)).not.toEqual(bits(resident));
      // Only where a recipe says so: weights of f16 alone round no activation.
      const exact = await caseInputs(parity, { precision: "f32", vram: 2 ** 32 });
      process.env.LEMA_EMULATED_PTX = "75";
      expect(bits(await runCase(parity, exact, { steps: 1, backend }))).toEqual(bits(float32));
    },
  );
});

describe("a matrix library on the device", () => {
  const named = process.env.LEMA_CUBLASLT;
  const name = (library: string | undefined) => {
    if (library === undefined) delete process.env.LEMA_CUBLASLT;
    else process.env.LEMA_CUBLASLT = library;
  };
  afterEach(() => name(named));

  it.skipIf(!hasBackend("cuda-emulated"))("gives its own bits, the same at every budget", async () => {
    const backend = "cuda-emulated";
    const parity = await readCase("bf16_shards");
    const run = async (library: string, machine: MachineOptions) => {
      name(library);
      return runCase(parity, await caseInputs(parity, { precision: "bf16", ...machine }), {
        steps: 1,
        backend,
      });
    };
    const resident = await run("emulated", { vram: 2 ** 32 });
    const smallest = smallestMemory(
      await caseInputs(parity, { precision: "bf16", vram: 2 ** 34, microBatch: 1 }),
    );
    const streamed = await run("emulated", { vram: smallest.vram!.total, microBatch: 1 });
    expect(bits(streamed)).toEqual(bits(resident));
    checkAgainstReference(resident, parity, "bf16");
    const own = bits(await run("off", { vram: 2 ** 32 }));
    expect(own).not.toEqual(bits(resident));
    // One whose sums depend on the number of rows is not used.
    expect(bits(await run("emulated-unsteady", { vram: 2 ** 32 }))).toEqual(own);
    expect(machineOf(backend).device).toMatch(/cuBLASLt/);
    await expect(run("/no/such.so", { vram: 2 ** 32 })).rejects.toThrow(/LEMA_CUBLASLT/);
  });
});
