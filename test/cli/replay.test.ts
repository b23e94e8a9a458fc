/** `lema replay`: the same bits again under other budgets and thread counts, and the first value that is another. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { RunComparison } from "../../cli/replay/compare-run.ts";
import { jsonText } from "../../runtime/files.ts";
import { readMetrics } from "../../runtime/metrics.ts";
import type { Metric } from "../../schemas/run.ts";
import { makeFiles, makePlan } from "../runtime/small-run.ts";
import { lema } from "./run-in-process.ts";

const STEPS = 8;
let directory: string;
const replay = (...argv: string[]) =>
  lema(["replay", "run", "--check", ...argv], {
    cwd: directory,
    env: { XDG_CACHE_HOME: join(directory, "cache") },
  });

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "lema-replay-"));
  await makeFiles(directory);
  const plan = await makePlan(directory);
  await writeFile(join(directory, "plan.json"), jsonText(plan));
  const env = { XDG_CACHE_HOME: join(directory, "cache") };
  const made = await lema(["exec", "plan.json", "--steps", `${STEPS}`], { cwd: directory, env });
  expect(made).toMatchObject({ exit: 0 });
  return () => rm(directory, { recursive: true });
});

/** Changes one recorded value for the length of `act`. */
async function withRecorded<Result>(
  step: number,
  change: (row: Metric) => object,
  act: () => Promise<Result>,
): Promise<Result> {
  const file = join(directory, "run/metrics.jsonl");
  const text = await readFile(file, "utf8");
  const rows = (await readMetrics(join(directory, "run"))).map((row) =>
    row.step === step && "loss" in row ? { ...row, ...change(row) } : row,
  );
  await writeFile(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  try {
    return await act();
  } finally {
    await writeFile(file, text);
  }
}

describe("lema replay RUN --check", () => {
  it("finds every recorded step, validation and adapter again, and writes nothing", async () => {
    const before = await readFile(join(directory, "run/run.json"), "utf8");
    const { exit, stdout } = await replay("--json");
    expect(exit).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      same: true,
      difference: null,
      compared: { steps: STEPS, adapters: STEPS, evaluations: 1 },
    });
    expect(await readFile(join(directory, "run/run.json"), "utf8")).toBe(before);
    const digests = (await readMetrics(join(directory, "run"))).flatMap((row) =>
      "adapter" in row ? [row.adapter] : [],
    );
    expect(new Set(digests).size).toBe(STEPS);
  });

  it.each([
    ["one thread", ["--threads", "1"]],
    ["two threads", ["--threads", "2"]],
    ["a small ram", ["--memory", "ram=1MiB"]],
    ["ram and vram", ["--memory", "ram=900KiB,vram=900KiB", "--threads", "2"]],
  ])("gives the same bits with %s", async (_, argv) => {
    const { exit, stdout, stderr } = await replay(...argv);
    expect({ exit, stderr: stderr.replaceAll(/^step .*\n/gm, "") }).toEqual({ exit: 0, stderr: "" });
    expect(stdout).toContain(`run replays to the same bits: ${STEPS} steps and 1 validation loss `);
  });

  it("plans another schedule for another budget", async () => {
    const own = JSON.parse((await replay("--json", "--steps", "1")).stdout);
    const small = JSON.parse((await replay("--json", "--steps", "1", "--memory", "ram=1MiB")).stdout);
    expect(small.plan_id).not.toBe(own.plan_id);
    expect(small.memory.ram).toBeLessThan(own.memory.ram);
    expect(small.compared.steps).toBe(1);
  });

  it.each([
    ["loss", (row: Metric) => ({ loss: ("loss" in row ? row.loss : 0) * (1 + 2 ** -52) })],
    ["grad_norm", () => ({ grad_norm: 0.25 })],
    ["adapter", () => ({ adapter: `sha256:${"0".repeat(64)}` })],
  ])("names the first step whose %s is another", async (what, change) => {
    const { exit, stdout } = await withRecorded(3, change, () => replay());
    expect(exit).toBe(2);
    expect(stdout).toContain(`run differs first in step 3: ${what}`);
    expect(stdout).toMatch(/recorded {2}.+\n {2}replayed {2}.+\n$/);
    const told = await withRecorded(3, change, () => lema(["replay", "run"], { cwd: directory }));
    expect(told.exit).toBe(0);
  });

  it("refuses a budget that does not fit, a changed input, and what is no run", async () => {
    expect(await replay("--memory", "ram=1KiB")).toMatchObject({ exit: 3 });
    expect((await replay("--memory", "ram=lots")).stderr).toContain("[cli.usage]");
    expect((await replay("--memory", "disk=1KiB")).stderr).toContain("vram=6GiB,ram=8GiB");
    const data = join(directory, "data.jsonl");
    const rows = await readFile(data, "utf8");
    await writeFile(data, rows.replace("sample 3", "sample three"));
    const stale = await replay();
    await writeFile(data, rows);
    expect(stale).toMatchObject({ exit: 4, stderr: expect.stringContaining("the dataset") });
    const none = await lema(["replay", "plan.json", "--check"], { cwd: directory });
    expect(none).toMatchObject({ exit: 1, stderr: expect.stringContaining("[run.not-found]") });
  });
});

describe("comparison", () => {
  const row = { step: 1, loss: 0.1 + 0.2, grad_norm: 1, lr: 1, tokens: 3, seconds: 1 };

  it("lets time and absent digests differ, and nothing else", () => {
    const comparison = new RunComparison([row]);
    comparison.add({ ...row, seconds: 9, adapter: `sha256:${"1".repeat(64)}` });
    expect(comparison.first).toBeNull();
    expect(comparison.compared).toEqual({ steps: 1, adapters: 0, evaluations: 0 });
  });

  it("tells the last bit of a number, and a skipped step, apart", () => {
    for (const change of [{ loss: 0.3 }, { grad_norm: null }]) {
      const comparison = new RunComparison([row]);
      comparison.add({ ...row, ...change });
      expect(comparison.first).toMatchObject({ step: 1, what: Object.keys(change)[0] });
    }
  });
});
