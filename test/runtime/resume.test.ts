/** A run that was stopped, killed or moved to another plan of the same training goes on to the same bits. */
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { readSafetensorsHeader } from "../../models/safetensors.ts";
import { writeSafetensors } from "../../models/safetensors-writer.ts";
import { findCheckpoint, pruneCheckpoints } from "../../runtime/checkpoint.ts";
import { checkSameMachine, checkSameTraining } from "../../runtime/resume.ts";
import { readRecord, reopenDirectory } from "../../runtime/run-directory.ts";
import type { Plan } from "../../schemas/plan.ts";
import { codesOf, scratch } from "./helpers.ts";
import { makeFiles, makePlan, outcome, run } from "./small-run.ts";

let directory: string;
let plan: Plan;
let whole: Record<string, unknown>;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "lema-resume-"));
  await makeFiles(directory);
  plan = await makePlan(directory);
  const result = await run(directory, "whole", plan);
  expect(result).toMatchObject({ status: "finished", steps: 12, totalSteps: 12 });
  whole = await outcome(directory, "whole");
  return () => rm(directory, { recursive: true });
});

describe("exec --resume", () => {
  it.each([
    ["in the middle of an epoch", 3],
    ["at the end of an epoch", 6],
    ["one step before the end", 11],
  ])("goes on to the same bits after a stop %s", async (_, stopAfter) => {
    const name = `stopped-${stopAfter}`;
    const first = await run(directory, name, plan, { stopAfter });
    expect(first).toMatchObject({ status: "stopped", steps: stopAfter });
    const second = await run(directory, name, plan, { resume: "latest" });
    expect(second).toMatchObject({ status: "finished", steps: 12 });
    expect(await outcome(directory, name)).toEqual(whole);
    expect(await readRecord(join(directory, name))).toMatchObject({
      status: "finished",
      resumed_from: `checkpoint-${stopAfter}`,
      steps: 12,
    });
  });

  it("goes on after a crash from the last checkpoint; rows beyond it are dropped", async () => {
    const crash = run(
      directory,
      "crashed",
      plan,
      {},
      {
        onStep: ({ step }) => {
          if (step === 7) throw new Error("power cut");
        },
      },
    );
    await expect(crash).rejects.toThrow("power cut");
    expect(await readRecord(join(directory, "crashed"))).toMatchObject({ status: "failed", steps: 7 });
    await run(directory, "crashed", plan, { resume: "latest" });
    expect((await readRecord(join(directory, "crashed")))?.resumed_from).toBe("checkpoint-4");
    expect(await outcome(directory, "crashed")).toEqual(whole);
  });

  it("goes on under another budget, micro-batch and thread count to the same bits", async () => {
    await run(directory, "moved", plan, { stopAfter: 5 });
    const other = await makePlan(directory, {
      smallest: true,
      training:
        "epochs: 2, batch_size: 4, micro_batch: 1, learning_rate: 5e-3, schedule: {type: cosine, warmup: 2 steps}",
    });
    expect(other.plan_id).not.toBe(plan.plan_id);
    expect(other.shape.ring).toBeGreaterThan(0);
    expect(checkSameTraining(await reopenDirectory(join(directory, "moved")), other, "moved")).toEqual([]);
    await run(directory, "moved", other, { resume: "latest", threads: 1 });
    const { adapter, optimizer, metrics } = await outcome(directory, "moved");
    expect({ adapter, optimizer, metrics }).toEqual({
      adapter: whole.adapter,
      optimizer: whole.optimizer,
      metrics: whole.metrics,
    });
  });

  it("goes back to an older checkpoint by name", async () => {
    await run(directory, "older", plan, { stopAfter: 9 });
    await run(directory, "older", plan, { resume: "checkpoint-8" });
    expect(await outcome(directory, "older")).toEqual(whole);
  });

  it("passes over a checkpoint that is damaged, and refuses it by name", async () => {
    await run(directory, "damaged", plan, { stopAfter: 9 });
    const path = join(directory, "damaged");
    await truncate(join(path, "checkpoint-9", "optimizer.safetensors"), 100);
    const { state, passedOver } = await findCheckpoint(path, "latest");
    expect(state.step).toBe(8);
    expect(passedOver).toMatchObject([
      { code: "checkpoint.damaged", severity: "warning", hint: "going on from checkpoint-8" },
    ]);
    expect(await codesOf(() => findCheckpoint(path, "checkpoint-9"))).toEqual(["checkpoint.damaged"]);
    expect(await codesOf(() => findCheckpoint(path, "checkpoint-5"))).toEqual(["checkpoint.not-found"]);
    await rm(join(path, "checkpoint-8", "manifest.json"));
    expect(await codesOf(() => findCheckpoint(path, "checkpoint-8"))).toEqual(["checkpoint.incomplete"]);
  });

  it.each([
    ["another learning rate", { training: "epochs: 2, batch_size: 4, learning_rate: 1e-3" }, /^training /],
    ["another seed", { training: "epochs: 2, batch_size: 4, learning_rate: 5e-3, seed: 7" }, /^seed /],
    ["another rank", { adapter: "{type: lora, rank: 4, alpha: 4}" }, /adapter's settings/],
  ])("refuses %s", async (_, change, named) => {
    const other = await makePlan(directory, change);
    const problems = checkSameTraining(plan, other, "run");
    expect(problems.map(({ code }) => code)).toContain("checkpoint.mismatch");
    expect(problems.map(({ summary }) => summary).join("\n")).toMatch(new RegExp(named, "m"));
  });

  it("refuses another build, processor or backend, naming both", () => {
    const here = { backend: "cpu", device: "a", build: "x" } as const;
    expect(checkSameMachine(here, { ...here })).toEqual([]);
    const problems = checkSameMachine({ backend: "reference", device: "b", build: "y" }, here);
    expect(problems.map(({ code, detail }) => `${code}: ${detail}`)).toEqual([
      "checkpoint.elsewhere: run  reference\nhere cpu",
      "checkpoint.elsewhere: run  b\nhere a",
      "checkpoint.elsewhere: run  y\nhere x",
    ]);
  });

  it("finds no run where there is none", async () => {
    const empty = await scratch();
    expect(await codesOf(() => reopenDirectory(empty))).toEqual(["run.not-found"]);
    expect(await codesOf(() => findCheckpoint(empty, "latest"))).toEqual(["checkpoint.not-found"]);
    await writeFile(join(empty, "plan.json"), "{}");
    expect(await codesOf(() => reopenDirectory(empty))).toEqual(["run.not-found"]);
  });
});

describe("a run directory", () => {
  it.each([
    [1, ["checkpoint-5"]],
    [2, ["checkpoint-5", "checkpoint-10"]],
    [9, ["checkpoint-4", "checkpoint-5", "checkpoint-8", "checkpoint-10"]],
  ])("keeps %d checkpoints, that of now before newer ones that an earlier run left", async (keep, kept) => {
    const path = await scratch();
    for (const step of [4, 5, 8, 10]) await mkdir(join(path, `checkpoint-${step}`));
    await pruneCheckpoints(path, keep, 5);
    expect((await readdir(path)).sort()).toEqual([...kept].sort());
  });

  it("keeps the newest checkpoints, and no half-made ones", async () => {
    const entries = await readdir(join(directory, "whole"));
    expect(entries.filter((name) => !name.startsWith("events")).sort()).toEqual([
      "checkpoint-12",
      "checkpoint-8",
      "final",
      "metrics.jsonl",
      "plan.json",
      "run.json",
    ]);
  });

  it("holds the adapter exactly as PEFT writes it: tensors sorted by name", async () => {
    const path = join(directory, "whole", "final", "adapter_model.safetensors");
    const { tensors } = await readSafetensorsHeader(path);
    const names = [...tensors.keys()];
    expect(names).toEqual(names.toSorted());
    expect(names).toHaveLength(plan.parameters.length);
    const file = await readFile(path);
    const again = join(await scratch(), "again.safetensors");
    const data = [...tensors.values()].map(({ name, dtype, shape, offset, bytes }) => ({
      ...{ name, dtype, shape },
      data: [file.subarray(offset, offset + bytes)],
    }));
    await writeSafetensors(again, data, { format: "pt" });
    expect(file.equals(await readFile(again))).toBe(true);
  });
});
