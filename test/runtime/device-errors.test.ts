/**
 * What fails on a device, on the emulated one: each failure is told with its code, its instruction and a way out, nothing
 * half-written is left, nothing hangs, and a training goes on from its last checkpoint to the bits that it would have had.
 */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { nativeDevice } from "../../runtime/addon.ts";
import { readMetrics } from "../../runtime/metrics.ts";
import { checkExecutable } from "../../runtime/preflight.ts";
import { readRecord } from "../../runtime/run-directory.ts";
import { PlanSession } from "../../runtime/session.ts";
import type { Plan } from "../../schemas/plan.ts";
import { codesOf, diagnosticsOf } from "./helpers.ts";
import { makeFiles, makePlan, outcome, run } from "./small-run.ts";

const backend = "cuda-emulated";
const STEPS = 2;
/** Of native/cuda/emulation/faults.h. */
const FAULT = "LEMA_EMULATED_FAULT";

let directory: string;
let plan: Plan;
let undisturbed: Record<string, unknown>;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "lema-device-errors-"));
  await makeFiles(directory);
  plan = await makePlan(directory, {
    training: `steps: ${STEPS}, batch_size: 2, learning_rate: 5e-3, schedule: constant`,
    memory: "{ram: 1 GiB, vram: 288 KiB}",
    checkpoint: "{every: 1 steps, keep: 1}",
  });
  await run(directory, "undisturbed", plan, { backend });
  undisturbed = await outcome(directory, "undisturbed");
  return () => rm(directory, { recursive: true });
});
afterEach(() => {
  delete process.env[FAULT];
});

/** What a run directory holds beside its records: only whole checkpoints may be there. */
async function saved(name: string): Promise<string[]> {
  const files = await readdir(join(directory, name));
  return files.filter((file) => !/^(plan|run|metrics|events|trace)/.test(file)).sort();
}

/** How often a step does something on the device. */
function inAStep(kind: "launch" | "copy"): number {
  const calls = new Map(plan.procedures.map((procedure) => [procedure.id, procedure.calls.length]));
  return plan.programs["train-step"].steady.reduce((sum, instruction) => {
    if (kind === "copy") return sum + (instruction.kind === "copy" ? 1 : 0);
    const launches = instruction.kind === "run" && instruction.lane === "compute";
    return sum + (launches ? calls.get(instruction.procedure)! : 0);
  }, 0);
}

describe("a failure in the second step", () => {
  it.each([
    ["launch", "a launch that is refused", /^a launch: .*cudaErrorLaunchOutOfResources/],
    ["kernel", "a kernel that fails", /a kernel failed that was to fail .*cudaErrorLaunchFailure/],
    ["copy", "a copy that fails", /a copy failed that was to fail .*cudaErrorIllegalAddress/],
  ] as const)(
    "%s: %s is told, leaves the first step's checkpoint, and is gone on from",
    async (fault, _, words) => {
      process.env[FAULT] = `${fault}:${Math.floor(1.5 * inAStep(fault === "copy" ? "copy" : "launch"))}`;
      const [problem] = await diagnosticsOf(() => run(directory, fault, plan, { backend }));
      expect(problem).toMatchObject({
        code: "run.device-failed",
        summary: expect.stringMatching(words),
        detail: expect.stringMatching(/^instruction \S+/),
        hint: expect.stringContaining("--resume"),
      });
      const [, id] = /^instruction ([^\s,]+)/.exec(problem!.detail!)!;
      expect(plan.programs["train-step"].steady.map((instruction) => instruction.id)).toContain(id);
      expect(await saved(fault)).toEqual(["checkpoint-1"]);
      expect(await readRecord(join(directory, fault))).toMatchObject({ status: "failed", steps: 1 });
      expect(await readMetrics(join(directory, fault))).toHaveLength(1);
      delete process.env[FAULT];
      await run(directory, fault, plan, { backend, resume: "latest" });
      expect(await outcome(directory, fault)).toEqual(undisturbed);
    },
  );
});

it("a device that has failed fails again where a part has nothing for one of its lanes", async () => {
  const paths = new Map(Object.entries(plan.meta.paths));
  process.env[FAULT] = "copy:1";
  const options = { backend, serialLanes: false, diskThrottle: null } as const;
  const session = await PlanSession.open(plan, paths, options);
  try {
    expect(plan.programs["train-step"].prologue.some(({ lane }) => lane === "compute")).toBe(false);
    for (let again = 0; again < 3; again++) {
      expect(await codesOf(() => session.start())).toEqual(["run.device-failed"]);
    }
  } finally {
    session.close();
  }
});

it("a cancel in the middle of a step is heard, leaves whole checkpoints, and is gone on from", async () => {
  const cancel = new AbortController();
  const onStep = (): void => {
    setTimeout(() => cancel.abort(), 15);
  };
  const stopped = run(directory, "cancelled", plan, { backend, cancel: cancel.signal }, { onStep });
  expect(await codesOf(() => stopped)).toEqual(["run.cancelled"]);
  const record = await readRecord(join(directory, "cancelled"));
  expect(record!.status).toBe("stopped");
  expect(record!.steps).toBeLessThan(STEPS);
  expect(await saved("cancelled")).toEqual([`checkpoint-${record!.steps}`]);
  await run(directory, "cancelled", plan, { backend, resume: "latest" });
  expect(await outcome(directory, "cancelled")).toEqual(undisturbed);
});

describe("an arena that the device has no room for", () => {
  const large = (): Plan => {
    const { totalBytes } = nativeDevice(backend);
    const vram = { ...plan.budgets.vram!, arena: totalBytes + 2 ** 21, total: totalBytes + 2 ** 21 };
    return { ...plan, budgets: { ...plan.budgets, vram } };
  };

  it("is refused before anything is written, with a budget that fits", async () => {
    const [problem] = await diagnosticsOf(() => run(directory, "large", large(), { backend }));
    expect(problem).toMatchObject({
      code: "plan.free-memory",
      summary: expect.stringContaining("of vram"),
      hint: expect.stringMatching(/memory\.vram="\d+ MiB"/),
    });
    expect(await codesOf(() => checkExecutable(large(), backend))).toEqual(["plan.free-memory"]);
    expect(await readdir(directory)).not.toContain("large");
  });

  it("and is told where another program is faster, leaving all memory as it was", async () => {
    const { freeBytes } = nativeDevice(backend);
    const paths = new Map(Object.entries(plan.meta.paths));
    const options = { backend, serialLanes: false, diskThrottle: null } as const;
    const [problem] = await diagnosticsOf(() => PlanSession.open(large(), paths, options));
    expect(problem).toMatchObject({
      code: "run.out-of-memory",
      summary: expect.stringMatching(
        /^a vram arena of \d+ bytes, where \d+ of \d+ are free: .*MemoryAllocation/,
      ),
      hint: expect.stringContaining("memory.vram"),
    });
    expect(nativeDevice(backend).freeBytes).toBe(freeBytes);
    const session = await PlanSession.open(plan, paths, options);
    session.close();
  });
});
