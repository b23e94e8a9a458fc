/** `lema explain`: measured times are made from predicted ones here, so that what it must find is known. */
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { calibrate, opTotals } from "../../cli/explain/calibrate.ts";
import { compareTimes } from "../../cli/explain/compare-times.ts";
import { renderExplanation } from "../../cli/explain/render-explanation.ts";
import { attendedIn } from "../../planner/cost/attended.ts";
import { costModel } from "../../planner/cost/duration.ts";
import { simulatePlan } from "../../planner/simulate/simulate-plan.ts";
import { jsonText } from "../../runtime/files.ts";
import { parseHardware } from "../../schemas/hardware.ts";
import type { Instruction, Plan } from "../../schemas/plan.ts";
import type { Metric, RunRecord, RunTrace } from "../../schemas/run.ts";
import { makeFiles, makePlan } from "../runtime/small-run.ts";
import { lema } from "./run-in-process.ts";

let cwd: string;
let plan: Plan;
beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), "lema-explain-"));
  await makeFiles(cwd);
  plan = await makePlan(cwd, { smallest: true });
});

/** A trace in which every instruction took its predicted time × `factor`, and waited besides. */
function traceWith(factor: (instruction: Instruction) => number, of = plan): RunTrace {
  const instructions = simulatePlan(of).timeline.map(({ instruction: own, start, end }) => {
    const waited = 1000;
    const taken = (end - start) * factor(own) + waited;
    return { id: own.id, lane: own.lane, start, end: start + taken, waited };
  });
  return { program: "train-step", instructions };
}

const slower = ({ lane }: Instruction): number => (lane === "disk" ? 4 : 2);

const steps = (seconds: readonly number[]): Metric[] =>
  seconds.map((own, index) => ({ ...STEP, step: index + 1, seconds: own }));
const STEP = { loss: 1, grad_norm: 1, lr: 1e-3, tokens: 10, adapter: `sha256:${"0".repeat(64)}` };

it("totals by lane and by what was done, waiting left out", () => {
  const { lanes, groups, instructions } = compareTimes(plan, traceWith(slower), []);
  const ratio = Object.fromEntries(
    lanes.map(({ lane, predicted_ns, measured_ns }) => [lane, measured_ns / predicted_ns]),
  );
  expect(ratio.compute).toBeCloseTo(2, 3);
  expect(ratio.disk).toBeCloseTo(4, 3);
  const count = groups.reduce((sum, group) => sum + group.count, 0);
  expect(count).toBe(instructions.length);
  expect(count).toBe(plan.programs["train-step"].steady.length);
});

it("fits a narrow terminal, without the lanes of instructions where they have no room", () => {
  const explanation = compareTimes(plan, traceWith(slower), steps([1, 1, 1, 2, 2, 2, 3, 3, 3]));
  const at = (columns: number) =>
    renderExplanation(explanation, opTotals(plan, explanation), null, 5, columns).split("\n");
  for (const columns of [57, 60, 80])
    expect(at(columns).filter(({ length }) => length > columns)).toEqual([]);
  const worst = (lines: readonly string[]) =>
    lines.slice(lines.indexOf("Furthest from their prediction")).find((line) => /\d/.test(line));
  expect(worst(at(1000))).toMatch(/^ {2}\S+ +disk +\d/);
  expect(worst(at(40))).toMatch(/^ {2}\S+ +\d/);
});

it("leaves out what never ended", () => {
  const trace = traceWith(slower);
  const [first, ...rest] = trace.instructions;
  const { instructions } = compareTimes(
    plan,
    { ...trace, instructions: [{ ...first!, end: null }, ...rest] },
    [],
  );
  expect(instructions.map(({ instruction }) => instruction.id)).not.toContain(first!.id);
  expect(instructions).toHaveLength(rest.length);
});

it("drift is the last third of the steps beside the first", () => {
  const drifting = compareTimes(plan, traceWith(slower), steps([1, 1, 1, 2, 2, 2, 3, 3, 3]));
  expect(drifting.steps).toEqual({ count: 9, median_ns: 2e9, first_third_ns: 1e9, last_third_ns: 3e9 });
  const validation = { step: 9, eval_loss: 1 };
  expect(compareTimes(plan, traceWith(slower), [...steps([1, 1]), validation]).steps).toBeNull();
});

/** The same plan for rows of many segments, of which attention computes a third. */
function packed(): Plan {
  const dataset = { ...plan.inputs.dataset!, train_rows: 1, attended_pairs: 512 };
  const shape = { ...plan.shape, sequence_length: 512 };
  return { ...plan, shape, inputs: { ...plan.inputs, dataset } };
}

it.each([
  ["one segment", () => plan],
  ["many segments", packed],
])("a calibrated profile predicts the run of rows of %s, and calibrating is deterministic", (_, planOf) => {
  const of = planOf();
  const explanation = compareTimes(of, traceWith(slower, of), []);
  const profile = calibrate(of, explanation);
  expect(calibrate(of, explanation)).toEqual(profile);
  const before = costModel(of.procedures, of.meta.hardware as never, attendedIn(of));
  const after = costModel(of.procedures, profile, attendedIn(of));
  for (const { instruction } of explanation.instructions) {
    if (instruction.kind === "run") {
      expect(after.instruction(instruction) / before.instruction(instruction)).toBeCloseTo(2, 1);
    }
  }
  for (const call of of.procedures.flatMap(({ calls }) => calls.filter(({ op }) => op === "attention"))) {
    expect(after.call(call, "compute") / before.call(call, "compute")).toBeCloseTo(2, 1);
  }
  expect(profile.disk.bandwidth).toBeLessThan(
    (plan.meta.hardware.disk as { bandwidth: number }).bandwidth / 2,
  );
});

it.each(["linear", "adamw"])(
  "finds that %s is slower than the others from procedures that mix them",
  (slowOp) => {
    const { call } = costModel(plan.procedures, plan.meta.hardware as never, attendedIn(plan));
    const factor = (instruction: Instruction): number => {
      if (instruction.kind !== "run") return 1;
      const { calls } = plan.procedures.find(({ id }) => id === instruction.procedure)!;
      const times = calls.map((own) => ({ op: own.op, ns: call(own, "compute") }));
      const sum = (of: typeof times): number => of.reduce((total, { ns }) => total + ns, 0);
      return (sum(times) + 5 * sum(times.filter(({ op }) => op === slowOp))) / sum(times);
    };
    const totals = opTotals(plan, compareTimes(plan, traceWith(factor), []));
    const ratios = totals.map(({ op, predicted_ns, fitted_ns }) => ({ op, ratio: fitted_ns / predicted_ns }));
    const slowest = ratios.reduce((most, own) => (own.ratio > most.ratio ? own : most));
    expect(slowest.op).toBe(slowOp);
  },
);

it("prints tables, or JSON, and writes a profile to plan from", async () => {
  const run = join(cwd, "run");
  recordRun(run);
  const text = await lema(["explain", "run", "--worst", "3", "--profile", "tuned.yaml"], { cwd });
  expect(text.exit).toBe(0);
  for (const title of ["Step", "Drift", "Lanes, at work", "What it did", "Furthest from their prediction"]) {
    expect(text.stdout).toContain(`${title}\n`);
  }
  expect(text.stdout).toMatch(/compute .* \+100\.0 %/);
  expect(text.stdout.split("Furthest from their prediction\n")[1]!.trimEnd().split("\n")).toHaveLength(4);
  const { profile, diagnostics } = parseHardware(readFileSync(join(cwd, "tuned.yaml"), "utf8"), {
    file: "tuned",
  });
  expect(diagnostics).toEqual([]);
  expect(profile!.name).toBe("test, calibrated");

  const json = await lema(["explain", "run", "--json"], { cwd });
  const facts = JSON.parse(json.stdout) as { plan_id: string; instructions: unknown[]; worst: string[] };
  expect(facts.plan_id).toBe(plan.plan_id);
  expect(facts.instructions).toHaveLength(plan.programs["train-step"].steady.length);
  expect(facts.worst).toHaveLength(10);
});

it("says what the process and the device had in use, where the run recorded it", async () => {
  const run = join(cwd, "on-a-device");
  recordRun(run);
  const digest = `sha256:${"0".repeat(64)}`;
  const GIB = 2 ** 30;
  const record: RunRecord = {
    format_version: 1,
    lema_version: "0.1.0",
    plan_id: digest,
    status: "finished",
    backend: "cuda",
    device: "a device",
    build: digest,
    threads: 2,
    started_at: "2025-01-01T00:00:00.000Z",
    finished_at: "2025-01-01T00:00:09.000Z",
    resumed_from: null,
    steps: 9,
    total_steps: 9,
    tokens: 9,
    loss: null,
    memory: {
      ram: { planned: 2 * GIB, measured: GIB },
      vram: { planned: 4 * GIB, measured: 5 * GIB },
      device: { before: GIB, loaded: 4 * GIB, peak: 5 * GIB },
    },
    adapter: null,
  };
  writeFileSync(join(run, "run.json"), jsonText(record));
  const { stdout } = await lema(["explain", "on-a-device"], { cwd });
  expect(stdout.split("Memory\n")[1]!.trimEnd().split("\n")).toEqual([
    "  process: planned 2.00 GiB, measured 1.00 GiB",
    "  device: planned 4.00 GiB; in use 1.00 GiB before (context, kernels, other programs), 4.00 GiB with the plan, 1.00 GiB more at the peak",
  ]);
  const json = await lema(["explain", "on-a-device", "--json"], { cwd });
  expect(JSON.parse(json.stdout).memory).toEqual(record.memory);
});

it("says what is missing where a run was not traced", async () => {
  const { exit, stderr } = await lema(["explain", "model"], { cwd });
  expect(exit).toBe(1);
  expect(stderr).toContain("plan.json");
});

function recordRun(directory: string): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "plan.json"), jsonText(plan));
  writeFileSync(join(directory, "trace.json"), jsonText(traceWith(slower)));
  const rows = steps([1, 1, 1, 2, 2, 2, 3, 3, 3]).map((row) => `${JSON.stringify(row)}\n`);
  writeFileSync(join(directory, "metrics.jsonl"), rows.join(""));
}
