import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { checks } from "../../schemas/verify/index.ts";
import { lema } from "./run-in-process.ts";
import { makeSmallTraining, planText } from "./small-training.ts";

let cwd = "";
const verify = (...argv: string[]) => lema(["verify", ...argv], { cwd });

beforeAll(async () => {
  cwd = await makeSmallTraining();
  await lema(["plan", "recipe.yaml"], { cwd });
});

it("says what was proved", async () => {
  const { exit, stdout, stderr } = await verify("runs/small/plan.json");
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
  expect(stdout).toMatch(/^runs\/small\/plan\.json: ok, [\d,]+ instructions proved\n/);
  for (const { name } of checks) expect(stdout).toContain(`\n  ${name} `);
  expect(stdout.split("\n").filter((line) => line.length > 100)).toEqual([]);
  // A run's directory names its plan.
  const json = JSON.parse((await verify("runs/small", "--json")).stdout);
  expect(json).toMatchObject({ verified: true, plan_id: JSON.parse(planText(cwd)).plan_id });
});

it("exits 5 and names what is wrong in the file", async () => {
  const plan = JSON.parse(planText(cwd));
  const waiting = plan.programs["train-step"].steady.find(
    (one: { waits: unknown[] }) => one.waits.length > 0,
  );
  waiting.waits = [];
  writeFileSync(join(cwd, "raced.json"), JSON.stringify(plan));
  const { exit, stdout, stderr } = await verify("raced.json");
  expect({ exit, stdout }).toEqual({ exit: 5, stdout: "" });
  expect(stderr).toContain("[verify.race]");
  expect(stderr).toContain("raced.json");
});

it("refuses what is no plan", async () => {
  writeFileSync(join(cwd, "text.json"), "{");
  writeFileSync(join(cwd, "other.json"), "{}");
  expect((await verify("text.json")).stderr).toContain("[plan.syntax]");
  expect((await verify("other.json")).stderr).toContain("[verify.format]");
  expect((await verify("absent.json")).stderr).toContain("[cli.unreadable-file]");
});
