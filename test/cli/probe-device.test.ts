/** `lema probe` of a device, on the emulated one: what it measures, and that plans for that device follow. No time is asserted. */
import { mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { callPlan } from "../../cli/probe/call-plan.ts";
import { type DeviceEffort, measureDevice, UNMEASURED_DEVICE } from "../../cli/probe/measure-device.ts";
import { sharesOf } from "../../cli/probe/measure-submission.ts";
import { profileText } from "../../cli/probe/profile-text.ts";
import { deviceNumbers, samplePlans } from "../../cli/probe/sample-models.ts";
import { callsOf, signatureOf } from "../../cli/probe/step-calls.ts";
import { transferPlan } from "../../cli/probe/transfer-plan.ts";
import { callWork } from "../../planner/cost/call-work.ts";
import { costModel } from "../../planner/cost/duration.ts";
import { type HardwareProfile, parseHardware } from "../../schemas/hardware.ts";
import type { Plan } from "../../schemas/plan.ts";
import { hasBackend } from "../end-to-end/has-backend.ts";
import { lema } from "./run-in-process.ts";
import { makeSmallTraining, planText } from "./small-training.ts";

const TINY = {
  hidden: 32,
  inner: 48,
  heads: 4,
  keyValueHeads: 2,
  vocabulary: 64,
  rank: 4,
  sequenceLength: 16,
  batchSizes: [1],
};
/** Of a plan that is made for the device as the samples describe it. */
const WIDER = { ...TINY, inner: 80 };
const LEAST: DeviceEffort = {
  seconds: 0,
  passes: 1,
  dwell: 0,
  footprint: 0,
  hostFootprint: 0,
  shapes: [TINY],
  transfers: { count: 2, bytes: 2 ** 20, rows: 16 },
};

let directory: string;
let profile: HardwareProfile;
let described: HardwareProfile;
let own: readonly Plan[];
let samples: readonly Plan[];
const progress: string[] = [];
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "lema-probe-"));
  profile = await measureDevice("cuda-emulated", {
    directory,
    threads: 2,
    effort: LEAST,
    plansFor: async (sampled) => {
      described = sampled;
      own = samplePlans([WIDER], {
        hardware: sampled,
        numbers: deviceNumbers(80).slice(0, 1),
        vram: 2 ** 32,
      });
      return own;
    },
    onProgress: (text) => progress.push(text),
  });
  // As the probe compiles them: what a plan does may depend on what was measured.
  samples = samplePlans([TINY], { hardware: UNMEASURED_DEVICE, numbers: deviceNumbers(80), vram: 2 ** 32 });
});

describe("the profile of a device", () => {
  it("names it, and has a rate for every dtype that it computes in", () => {
    const { compute, links, memory, source } = profile;
    expect(source).toBe("lema probe on emulated device (sm_80)");
    expect(compute).toMatchObject({ kind: "cuda", threads: null, dtypes: ["f32", "bf16", "f16"] });
    expect(Object.keys(compute.matrix_rate)).toEqual(["f32", "bf16", "f16"]);
    expect(links!.pinned).toBe(true);
    expect(memory.vram).toBe(2 ** 34);
    expect(profile.host!.memory_bandwidth).toBeGreaterThan(0);
    const onHost = samples.flatMap(({ programs, procedures }) =>
      programs["train-step"].steady.flatMap((instruction) =>
        instruction.kind === "run" && instruction.lane === "host"
          ? procedures.find(({ id }) => id === instruction.procedure)!.calls.map(({ op }) => op)
          : [],
      ),
    );
    expect(new Set(profile.host!.calls!.map(({ op }) => op))).toEqual(new Set(onHost));
    expect(onHost).toContain("square_sum");
  });

  it("times every op that a step has on the device, products in each dtype", () => {
    const used = [...samples, ...own].flatMap(callsOf).map(({ op }) => op);
    const { calls } = profile.compute;
    expect(new Set(calls!.map(({ op }) => op))).toEqual(new Set(used));
    const products = calls!.filter(({ op }) => op === "linear").map(({ product }) => product);
    expect(new Set(products)).toEqual(new Set(["f32", "bf16", "f16"]));
  });

  it("times the calls of plans that are made for it as the samples describe it", () => {
    const known = ({ compute }: HardwareProfile) =>
      new Set(
        compute.calls!.map(({ op, flops, read, written }) => JSON.stringify([op, flops, read, written])),
      );
    const wanted = own.flatMap(callsOf).map((call) => {
      const { op, flops, read, written } = callWork(call, "cuda");
      return JSON.stringify([op, flops, read, written]);
    });
    expect(described.compute.matrix_rate.f32).toBeGreaterThan(0);
    expect(wanted.every((work) => known(profile).has(work))).toBe(true);
    expect(wanted.every((work) => known(described).has(work))).toBe(false);
    expect([...known(described)].every((work) => known(profile).has(work))).toBe(true);
  });

  it("says how far it is, and leaves nothing behind", () => {
    expect(progress[0]).toBe("disk and copies");
    expect(progress.at(-1)).toMatch(/^timing ops \d+ %$/);
    expect(readdirSync(directory)).toEqual([]);
  });

  it("reads back as it was measured, and plans are made for it", async () => {
    const text = profileText(profile, "a note");
    const { profile: read, diagnostics } = parseHardware(text, { file: "probed.yaml" });
    expect(diagnostics).toEqual([]);
    expect(read!.host!.calls).toEqual(profile.host!.calls);
    expect(read!.compute).toMatchObject({
      calls: profile.compute.calls,
      submission: profile.compute.submission,
    });
    const cwd = await makeSmallTraining();
    writeFileSync(join(cwd, "probed.yaml"), text);
    const settings = ["hardware=./probed.yaml", "memory.vram=1 GiB", "memory.ram=4 GiB"];
    const planned = await lema(["plan", "recipe.yaml", ...settings.flatMap((set) => ["--set", set])], {
      cwd,
    });
    expect(planned).toMatchObject({ exit: 0, stderr: "" });
    const plan = JSON.parse(planText(cwd)) as Plan;
    expect(plan.shape.compute_arena).toBe("vram");
    expect(plan.budgets.vram!.reserve).toBe(profile.reserve.vram);
  });

  it("has no bf16 below compute capability 8.0", () => {
    expect(deviceNumbers(75).map(({ precision }) => precision)).toEqual(["f32", "fp16"]);
  });
});

it("copies one way after the other on a device, and both ways at once where vram is emulated", () => {
  const firstDown = (arena: "ram" | "vram") =>
    transferPlan(LEAST.transfers, arena).programs.checkpoint!.steady.find(({ lane }) => lane === "d2h")!;
  expect(firstDown("vram").waits).toEqual([{ on: "h2d/1", at: 0 }]);
  expect(firstDown("ram").waits).toEqual([]);
});

it.skipIf(hasBackend("cuda"))(
  "says what is missing where there is no device, and writes nothing",
  async () => {
    const { exit, stderr } = await lema(["probe", "--backend", "cuda", "--quick", "-o", "p.yaml"], {
      cwd: directory,
    });
    expect(exit).toBe(1);
    expect(stderr).toContain("run.no-device");
    expect(readdirSync(directory)).toEqual([]);
  },
);

describe("samples", () => {
  it("are timed on all threads also where they are the host's, which has them beside a device", () => {
    const options = { threads: 2, footprint: 0, lane: "host", target: "ram" } as const;
    const { plan, calls } = callPlan(samples[0]!, options);
    expect(calls.map(({ op }) => op)).toContain("adamw");
    expect(new Set(plan.programs["train-step"]!.steady.map(({ lane }) => lane))).toEqual(
      new Set(["compute"]),
    );
  });

  it("are left out where the device has no room for them", () => {
    const [largest] = samples.map(({ budgets }) => budgets.vram!.arena).sort((a, b) => b - a);
    const machine = { hardware: UNMEASURED_DEVICE, numbers: deviceNumbers(80), vram: largest! - 1 };
    expect(samplePlans([TINY], machine).length).toBeLessThan(samples.length);
  });

  it("are timed while the device is kept behind the host, each call once", () => {
    const options = { threads: 2, footprint: 0, lane: "compute", target: "vram" } as const;
    const many = { ...options, footprint: 6 * samples[0]!.budgets.vram!.arena };
    const { plan, calls } = callPlan(samples[0]!, many);
    const { steady } = plan.programs["train-step"]!;
    const runs = steady.filter(({ kind }) => kind === "run");
    const copies = steady.flatMap((instruction, at) => (instruction.kind === "copy" ? [at] : []));
    expect(calls.length).toBe(runs.length);
    expect(new Set(calls.map(signatureOf))).toEqual(new Set(callsOf(samples[0]!).map(signatureOf)));
    expect(copies.length).toBe(Math.ceil(runs.length / 96));
    expect(copies.length).toBeGreaterThan(1);
    for (const at of copies) {
      const [copy, next] = [steady[at]!, steady[at + 1]!];
      expect(copy.waits).toEqual(at === 0 ? [] : [{ on: steady[at - 1]!.id, at: 0 }]);
      expect(next.waits).toEqual([{ on: copy.id, at: 0 }]);
    }
    const ends = plan.buffers
      .filter(({ arena }) => arena === "vram")
      .map(({ offset, bytes }) => offset + bytes);
    expect(Math.max(...ends)).toBe(plan.budgets.vram!.arena);
  });
});

it("predicts a call on the host's lane by what was measured there", () => {
  const [{ procedures }] = samples as [Plan];
  const call = procedures.flatMap(({ calls }) => calls).find(({ op }) => op === "adamw")!;
  const { op, product: _, ...work } = callWork(call, "cuda");
  const host = { ...profile.host!, calls: [{ op, ...work, ns: 123_456_789 }] };
  const { call: predict } = costModel(procedures, { ...profile, host }, 1);
  expect(Math.round(predict(call, "host"))).toBe(123_456_789);
  expect(predict(call, "compute")).not.toBe(predict(call, "host"));
});

describe("submission", () => {
  it("is told apart into an instruction's and its calls' share", () => {
    expect(sharesOf({ one: 9000, many: 71_000, calls: 32 })).toEqual({ call_ns: 2000, instruction_ns: 7000 });
    expect(sharesOf({ one: 10, many: 5, calls: 32 }).call_ns).toBe(0);
  });

  it("is the least that an instruction on the device takes", () => {
    const [{ procedures }] = samples as [Plan];
    const longest = procedures.reduce((a, b) => (b.calls.length > a.calls.length ? b : a));
    const with_ = (call_ns: number): HardwareProfile => ({
      ...profile,
      compute: { ...profile.compute, submission: { call_ns, instruction_ns: 7000 } },
    });
    const run = (hardware: HardwareProfile, lane: "compute" | "host") =>
      costModel(procedures, hardware, 1).run(longest.id, lane);
    expect(run(with_(1e9), "compute")).toBe(7000 + 1e9 * longest.calls.length);
    const { submission: _, ...compute } = with_(0).compute;
    expect(run(with_(0), "compute")).toBe(Math.max(7000, run({ ...profile, compute }, "compute")));
    expect(run(with_(1e9), "host")).toBe(run({ ...profile, compute }, "host"));
  });
});
