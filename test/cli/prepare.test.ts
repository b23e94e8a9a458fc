/** `lema prepare` as a user meets it: the planner takes what it writes like any model, with the same weights. */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { planSchema } from "../../schemas/plan.ts";
import { lema } from "./run-in-process.ts";
import { makeSmallTraining, planText } from "./small-training.ts";

let cwd: string;

beforeAll(async () => {
  cwd = await makeSmallTraining();
  return () => rm(cwd, { recursive: true });
});

it("writes a model that plans like its source: same digests, same schedule, other places", async () => {
  const { exit, stdout, stderr } = await lema(["prepare", "model", "-o", "prepared"], { cwd });
  expect(exit, stderr).toBe(0);
  expect(stdout).toMatch(
    /^Wrote prepared: .* in model\.safetensors, \d.* % of padding; every tensor's digest/,
  );
  const plans = [];
  for (const model of ["model", "prepared"]) {
    const planned = await lema(["plan", "recipe.yaml", "--set", `model=${model}`], { cwd });
    expect(planned.exit, planned.stderr).toBe(0);
    expect(planned.stderr).not.toContain("unexpected-tensor");
    plans.push(planSchema.parse(JSON.parse(planText(cwd))));
  }
  const [source, prepared] = plans;
  const digests = (plan: typeof source) => plan!.tensors.map(({ name, digest }) => [name, digest]);
  expect(digests(prepared)).toEqual(digests(source));
  const steps = (plan: typeof source) => plan!.programs["train-step"].steady.map(({ id }) => id);
  expect(steps(prepared)).toEqual(steps(source));
  for (const { name, offset } of prepared!.tensors.filter(({ name }) =>
    name.endsWith("input_layernorm.weight"),
  ))
    expect(offset % 4096, name).toBe(0);
});

it("goes back to shards, and refuses a place in use", async () => {
  const options = ["--layout", "shards", "--max-shard-size", "300kB", "--json"];
  const { exit, stdout } = await lema(["prepare", "model", "-o", "shards", ...options], { cwd });
  expect(exit).toBe(0);
  expect(JSON.parse(stdout).files.length).toBeGreaterThan(2);
  expect(JSON.parse(await readFile(join(cwd, "shards/model.safetensors.index.json"), "utf8"))).toHaveProperty(
    "weight_map",
  );
  const again = await lema(["prepare", "model", "-o", "shards"], { cwd });
  expect(again.exit).toBe(1);
  expect(again.stderr).toContain("output.exists");
});
