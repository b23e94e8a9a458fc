/** `lema probe`: what it times, and that what it writes is a profile that plans are made from. No time is asserted. */
import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { probedProfilePath } from "../../cli/load-recipe.ts";
import { callPlan } from "../../cli/probe/call-plan.ts";
import { type MeasuredCall, matrixRate, memoryBandwidth, mergeAlike } from "../../cli/probe/measure-calls.ts";
import { measureMachine, type ProbeEffort } from "../../cli/probe/measure-machine.ts";
import { measureProfile } from "../../cli/probe/measure-profile.ts";
import { median } from "../../cli/probe/median.ts";
import { profileText } from "../../cli/probe/profile-text.ts";
import { CPU_NUMBERS, samplePlans } from "../../cli/probe/sample-models.ts";
import { SAMPLE_SHAPES } from "../../cli/probe/sample-shapes.ts";
import { callsOf, signatureOf } from "../../cli/probe/step-calls.ts";
import { writeFloats, writeIntegers } from "../../cli/probe/time-calls.ts";
import { callWork } from "../../planner/cost/call-work.ts";
import { openEngine } from "../../runtime/addon.ts";
import { type HardwareProfile, parseHardware } from "../../schemas/hardware.ts";
import { ops } from "../../schemas/ops/index.ts";
import type { Instruction, Plan } from "../../schemas/plan.ts";
import { lema } from "./run-in-process.ts";
import { makeSmallTraining, planText } from "./small-training.ts";

type RunInstruction = Extract<Instruction, { kind: "run" }>;

const LEAST: ProbeEffort = {
  seconds: 0,
  passes: 1,
  dwell: 0,
  footprint: 0,
  shapes: SAMPLE_SHAPES.slice(0, 1),
  transfers: { count: 2, bytes: 2 ** 20, rows: 16 },
};

const PLAIN = { threads: 2, footprint: 0, lane: "compute", target: "ram" } as const;

let directory: string;
let profile: HardwareProfile;
const progress: string[] = [];
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "lema-probe-"));
  profile = await measureMachine({
    directory,
    threads: 2,
    effort: LEAST,
    plansFor: async () => [],
    onProgress: (text) => progress.push(text),
  });
});

it("times every op of a training step, products in both dtypes", async () => {
  const cwd = await makeSmallTraining();
  await lema(["plan", "recipe.yaml"], { cwd });
  const { procedures } = JSON.parse(planText(cwd)) as Plan;
  const used = new Set(procedures.flatMap((procedure) => procedure.calls.map(({ op }) => op)));
  const calls = profile.compute.calls!;
  expect(new Set(calls.map(({ op }) => op))).toEqual(used);
  for (const { name, productOperand } of ops.filter((op) => used.has(op.name))) {
    const dtypes = new Set(calls.filter(({ op }) => op === name).map((call) => call.product));
    expect(dtypes).toEqual(new Set(productOperand === undefined ? [undefined] : ["f32", "bf16"]));
  }
});

it("times the calls of a step where the step has them, in copies of its arena that share no byte", async () => {
  const cwd = await makeSmallTraining();
  await lema(["plan", "recipe.yaml"], { cwd });
  const step = JSON.parse(planText(cwd)) as Plan;
  const arena = step.budgets.ram.arena;
  const { plan, calls, sources } = callPlan(step, { ...PLAIN, footprint: 2 * arena + 1 });
  expect(plan.budgets.ram.arena).toBe(3 * arena);
  const { steady } = plan.programs["train-step"]!;
  expect(new Set(calls.map(signatureOf))).toEqual(new Set(callsOf(step).map(signatureOf)));
  expect(calls.length).toBe(steady.length);
  const placed = new Map(plan.buffers.map((buffer) => [buffer.id, buffer]));
  const original = new Map(step.buffers.map((buffer) => [buffer.id, buffer]));
  for (const { id, offset, bytes } of plan.buffers) {
    const [copy, name] = [Number(id.split("/")[0]), id.slice(id.indexOf("/") + 1)];
    expect(offset).toBe(copy * arena + original.get(name)!.offset);
    expect(bytes).toBe(original.get(name)!.bytes);
  }
  for (const { at, bytes } of sources) {
    expect(at.offset + bytes).toBeLessThanOrEqual(placed.get(at.buffer)!.bytes);
  }
  // A run is done in all copies before the next one begins.
  const runs = steady.map(({ id }) => id.split("/").slice(0, -2).join("/"));
  expect(runs.filter((run, at) => run !== runs[at - 1])).toEqual([...new Set(runs)]);
  const first = step.programs["train-step"].steady.find(({ lane }) => lane === "compute");
  expect(steady[0]).toMatchObject({ id: `${first!.id}/0/0` });
});

it("repeats a step whose numbers stay finite, so that no update is skipped", async () => {
  const [sample] = samplePlans(LEAST.shapes, { hardware: profile, numbers: CPU_NUMBERS, vram: null });
  const { plan, calls, sources } = callPlan(sample!, PLAIN);
  const engine = openEngine({ backend: "cpu", serialLanes: false, diskThrottle: null });
  try {
    await engine.load(plan, new Map());
    writeFloats(engine, sources);
    for (let round = 0; round < 3; round++) {
      writeIntegers(engine, sources);
      await engine.run({ program: "train-step", part: "steady" });
    }
    const at = calls.findIndex(({ op }) => op === "grad_norm");
    const run = plan.programs["train-step"]!.steady[at] as RunInstruction;
    const { formal, offset } = calls[at]!.operands.norm!;
    const { buffer, offset: base } = run.bind[formal]!;
    const norm = new Float64Array(engine.readTensor({ buffer, offset: base + offset }, 8).slice().buffer)[0]!;
    expect(Number.isFinite(norm) && norm > 0).toBe(true);
  } finally {
    engine.close();
  }
});

it("says how far it is, and leaves nothing behind", () => {
  expect(progress[0]).toBe("disk and copies");
  expect(progress.at(-1)).toMatch(/^timing ops \d+ %$/);
  expect(readdirSync(directory)).toEqual([]);
});

it("writes a profile that reads back as it was measured, rates to four digits", () => {
  const text = profileText(profile, "a note");
  expect(text).toMatch(/^# a note\n/);
  expect(text).toBe(profileText(profile, "a note"));
  const { profile: read, diagnostics } = parseHardware(text, { file: "probed.yaml" });
  expect(diagnostics).toEqual([]);
  expect(read!.compute.calls).toEqual(profile.compute.calls);
  expect(read!.memory).toEqual(profile.memory);
  expect(read!.compute.threads).toBe(2);
  for (const [found, measured] of [
    [read!.compute.matrix_rate.bf16!, profile.compute.matrix_rate.bf16!],
    [read!.disk.bandwidth, profile.disk.bandwidth],
    [read!.links!.d2h_bandwidth, profile.links!.d2h_bandwidth],
  ] as const) {
    expect(Math.abs(found / measured - 1)).toBeLessThan(1e-3);
  }
});

it("is the machine of `hardware: auto`, and the same profile gives the same plan", async () => {
  const cwd = await makeSmallTraining();
  const env = { HOME: cwd };
  const path = probedProfilePath(env, "cpu");
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, profileText(profile, "a note"));
  const plan = () =>
    lema(["plan", "recipe.yaml", "--set", "hardware=auto", "--dry-run", "--json"], { cwd, env });
  const first = await plan();
  expect(first).toMatchObject({ exit: 0, stderr: "" });
  expect(await plan()).toEqual(first);
});

it("refuses a directory that does not exist", async () => {
  const { exit, stderr } = await lema(["probe", "--quick", "--directory", "nowhere"], { cwd: directory });
  expect(exit).toBe(1);
  expect(stderr).toContain("nowhere");
});

it("refuses keys of no recipe", async () => {
  const { exit, stderr } = await lema(["probe", "--set", "memory.ram=1GiB"], { cwd: directory });
  expect({ exit, stderr }).toEqual({ exit: 1, stderr: expect.stringContaining("[cli.usage]") });
});

it("times a recipe's own plan in as much memory as it has, and believes that where both rounds know a work", async () => {
  const work = { op: "add", flops: 8, read: 64, written: 32, width: 8 } as const;
  const other = { ...work, flops: 16 };
  const rounds = [
    [
      { ...work, ns: 300 },
      { ...other, ns: 500 },
    ],
    [{ ...work, ns: 100 }],
  ];
  const asked: [plans: number, footprint: number][] = [];
  const [sample, own] = [{} as Plan, {} as Plan];
  const profile = await measureProfile({
    samples: [sample, sample],
    footprint: 1000,
    profileOf: (calls) => ({ compute: { calls } }) as unknown as HardwareProfile,
    plansFor: async (sampled) => {
      expect(sampled.compute.calls).toEqual(rounds[0]);
      return [own];
    },
    measure: async (plans, footprint) => rounds[asked.push([plans.length, footprint]) - 1]!,
  });
  expect(asked).toEqual([
    [2, 1000],
    [1, 0],
  ]);
  expect(profile.compute.calls).toEqual([
    { ...work, ns: 100 },
    { ...other, ns: 500 },
  ]);
});

it("refuses a recipe before it measures anything", async () => {
  const { exit, stderr } = await lema(["probe", "--recipe", "nowhere.yaml"], { cwd: directory });
  expect(exit).toBe(1);
  expect(stderr).toContain("nowhere.yaml: it does not exist");
  expect(stderr).not.toContain("measuring");
});

it("refuses a profile that times an op that does not exist", () => {
  const text = profileText(profile, "a note").replace("op: adamw", "op: adam");
  const { diagnostics } = parseHardware(text, { file: "probed.yaml" });
  expect(diagnostics.map(({ code }) => code)).toEqual(["hardware.invalid-profile"]);
});

const WORK = { op: "linear", product: "f32", flops: 2000, read: 10, written: 20 } as const;
const call = (change: Partial<MeasuredCall>): MeasuredCall => ({ ...WORK, ns: 10, ...change });

it("calls of the same work are one, in one order whatever the order they were timed in", () => {
  const work = { ...WORK };
  const other = { ...WORK, op: "add", product: null } as const;
  const timed = [
    { work, ns: 10 },
    { work: other, ns: 7 },
    { work, ns: 20 },
  ];
  const merged = mergeAlike(timed);
  expect(merged).toEqual([
    { op: "add", flops: 2000, read: 10, written: 20, ns: 7 },
    { ...WORK, ns: 15 },
  ]);
  expect(mergeAlike(timed.toReversed())).toEqual(merged);
});

it("derives rates from the calls: the fastest product, the longest stream", () => {
  const calls = [call({ ns: 10 }), call({ ns: 5 }), call({ product: "bf16", ns: 4 })];
  expect(matrixRate(calls, "f32")).toBe(400e9);
  expect(matrixRate(calls, "bf16")).toBe(500e9);
  const stream = (read: number, ns: number): MeasuredCall => ({
    op: "add",
    flops: 1,
    read,
    written: read / 2,
    ns,
  });
  expect(memoryBandwidth([stream(20, 1), stream(2000, 100)])).toBe(30e9);
});

it("takes medians as they are defined", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([7])).toBe(7);
});

it("a device's product of f32 runs in f16 where it may round to it, whatever its weight is stored in", () => {
  const operand = (dtype: "f32" | "f16", shape: number[]) => ({ formal: "f", offset: 0, shape, dtype });
  const linear = (weight: "f32" | "f16", f16_factors: number) => ({
    op: "linear",
    operands: { x: operand("f32", [1, 2, 4]), w: operand(weight, [8, 4]), y: operand("f32", [1, 2, 8]) },
    attributes: { alpha: 1, row_tile: 2, column_tile: 8, f16_factors },
    workspace: null,
  });
  expect(callWork(linear("f32", 0), "cuda").product).toBe("f32");
  expect(callWork(linear("f16", 0), "cuda").product).toBe("f32");
  expect(callWork(linear("f32", 1), "cuda").product).toBe("f16");
  expect(callWork(linear("f16", 1), "cpu").product).toBe("f32");
});
