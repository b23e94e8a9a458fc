import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, it } from "vitest";
import { lema } from "./run-in-process.ts";
import { makeSmallTraining } from "./small-training.ts";

let cwd = "";
const run = (...argv: string[]) => lema(argv, { cwd });
const edit = (change: (text: string) => string): void => {
  const file = join(cwd, "recipe.yaml");
  writeFileSync(file, change(readFileSync(file, "utf8")));
};

beforeEach(async () => {
  cwd = await makeSmallTraining();
  expect(await run("plan", "recipe.yaml", "--set", "training.steps=1")).toMatchObject({ exit: 0 });
});

it("refuses a plan whose recipe was edited, naming each key with both values", async () => {
  edit((text) => text.replace("1e-3", "2e-3").replace("rank: 2", "rank: 3"));
  const { exit, stdout, stderr } = await run("exec", "runs/small/plan.json");
  expect({ exit, stdout }).toEqual({ exit: 4, stdout: "" });
  expect(stderr).toContain("`training.learning_rate` of the recipe is not what it was");
  expect(stderr).toContain("expected 0.001\n  actual   0.002");
  expect(stderr).toContain("`adapter.rank` of the recipe");
  expect(stderr).toContain("`adapter.alpha` of the recipe"); // Its default follows the rank.
  expect(stderr.match(/plan\.stale/g)).toHaveLength(3);
  expect(stderr).toContain("recipe.yaml:6:");

  edit((text) => `${text}oops: 1\n`);
  const broken = await run("exec", "runs/small/plan.json");
  expect(broken).toMatchObject({ exit: 4, stderr: expect.stringContaining("lema validate recipe.yaml") });
});

it("runs a plan whose recipe means the same, or is not there any more; and goes on with a run", async () => {
  edit((text) => `# a note\n${text.replace("training: {steps: 3", "training: {steps: 9")}`);
  expect(await run("exec", "runs/small/plan.json")).toMatchObject({ exit: 0 });
  edit((text) => text.replace("1e-3", "2e-3"));
  expect(await run("exec", "runs/small", "--resume")).toMatchObject({ exit: 0 });
  rmSync(join(cwd, "recipe.yaml"));
  rmSync(join(cwd, "runs/small/run.json"));
  for (const name of ["final", "metrics.jsonl"]) rmSync(join(cwd, "runs/small", name), { recursive: true });
  expect(await run("exec", "runs/small/plan.json")).toMatchObject({ exit: 0 });
});
