import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { simulatePlan } from "../../planner/simulate/simulate-plan.ts";
import type { Plan } from "../../schemas/plan.ts";
import { lema } from "./run-in-process.ts";
import { makeSmallTraining, planText } from "./small-training.ts";

let cwd = "";
let made: Plan;
const show = (...argv: string[]) => lema(["show", "runs/small/plan.json", ...argv], { cwd });

beforeAll(async () => {
  cwd = await makeSmallTraining();
  await lema(["plan", "recipe.yaml"], { cwd });
  made = JSON.parse(planText(cwd));
});

it("prints the summary and a row for every unit and the embedding", async () => {
  const { exit, stdout } = await show();
  expect(exit).toBe(0);
  expect(stdout).toContain("\nMemory\n");
  const rows = stdout.slice(stdout.indexOf("Layers")).trim().split("\n").slice(2);
  expect(rows.map((row) => row.trim().split(/\s+/)[0])).toEqual([
    ...made.units.map(({ id }) => id),
    "embedding",
  ]);
});

it("counts loads as the instructions have them", async () => {
  const { weights } = JSON.parse((await show("--json")).stdout);
  const moved = made.programs["train-step"].steady.reduce(
    (sum, one) => sum + (one.kind === "read" ? one.bytes : 0),
    0,
  );
  const counted = weights.reduce((sum: number, row: { loads: number; bytes: number }) => {
    return sum + row.loads * row.bytes;
  }, 0);
  expect(moved).toBeGreaterThan(0);
  expect(counted).toBe(moved);
});

describe("--instructions", () => {
  it("lists the step in serial order", async () => {
    const { stdout } = await show("--instructions");
    const lines = stdout.trim().split("\n").slice(2);
    expect(lines).toHaveLength(made.programs["train-step"].steady.length);
    made.programs["train-step"].steady.forEach(({ id, lane }, index) => {
      expect(lines[index]).toMatch(new RegExp(`^ +${index} +${lane} `));
      expect(lines[index]).toContain(` ${id}`);
    });
  });

  it("takes one lane of one program", async () => {
    const { stdout } = await show("--program", "evaluate", "--lane", "disk");
    const wanted = made.programs.evaluate.steady.filter(({ lane }) => lane === "disk");
    expect(stdout.trim().split("\n").slice(2)).toHaveLength(wanted.length);
  });
});

describe("--why", () => {
  it("names work, bytes, and the bytes behind each wait", async () => {
    const waiting = made.programs["train-step"].steady.find(
      ({ kind, waits, lane }) =>
        kind === "run" && lane === "compute" && waits.some(({ on }) => on.startsWith("read/")),
    )!;
    const { stdout } = await show("--why", waiting.id);
    expect(stdout).toContain(`${waiting.id}  run on compute; train-step, steady`);
    for (const { on } of waiting.waits) expect(stdout).toContain(`for ${on} on `);
    expect(stdout).toMatch(/it reads what that writes:\n +slot\/\d/);
    expect(stdout).toMatch(/procedure \S+ with the weights of/);
  });

  it("finds bytes behind every wait of the plan", async () => {
    const ids = made.programs["train-step"].steady
      .filter(({ waits }) => waits.length > 0)
      .map(({ id }) => id);
    for (const id of ids.slice(0, 12)) {
      const { stdout } = await show("--why", id);
      const reasons = stdout.match(/because\n +it (?:reads|overwrites) what/g) ?? [];
      expect({ id, reasons: reasons.length }).toEqual({ id, reasons: stdout.match(/, because$/gm)!.length });
    }
  });

  it("suggests the nearest instruction", async () => {
    const { exit, stderr } = await show("--why", "fwd/L01/mb");
    expect(exit).toBe(1);
    expect(stderr).toContain("the plan has no instruction `fwd/L01/mb`");
    expect(stderr).toContain("did you mean `fwd/L01/mb0`?");
  });
});

it("predicts what the plan predicts", () => {
  const { step_ns } = made.predictions.find(({ program }) => program === "train-step")!;
  expect(simulatePlan(made).duration).toBe(step_ns);
});

it("shows nothing of a plan that does not verify", async () => {
  const forged = { ...made, training: { ...made.training, learning_rate: 1 } };
  writeFileSync(join(cwd, "forged.json"), JSON.stringify(forged));
  const { exit, stdout, stderr } = await lema(["show", "forged.json"], { cwd });
  expect({ exit, stdout }).toEqual({ exit: 5, stdout: "" });
  expect(stderr).toContain("[verify.plan-id]");
});
