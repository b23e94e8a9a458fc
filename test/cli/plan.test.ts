import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { planSchema } from "../../schemas/plan.ts";
import { directoryWith, lema } from "./run-in-process.ts";
import { makeSmallTraining, planText } from "./small-training.ts";

let cwd = "";
const plan = (...argv: string[]) => lema(["plan", "recipe.yaml", ...argv], { cwd });
const figures = async (...argv: string[]) => JSON.parse((await plan("--json", ...argv)).stdout);

beforeAll(async () => {
  cwd = await makeSmallTraining();
});

describe("where the plan goes", () => {
  it("is plan.json in the recipe's output directory, and the same again is unchanged", async () => {
    const first = await plan();
    expect(first).toMatchObject({ exit: 0, stderr: "" });
    expect(first.stdout).toContain("Wrote runs/small/plan.json. Run it with: lema exec runs/small/plan.json");
    expect(planSchema.parse(JSON.parse(planText(cwd))).executable).toBe(true);
    expect(readdirSync(join(cwd, "runs/small"))).toEqual(["plan.json"]);
    const bytes = planText(cwd);
    expect((await plan()).stdout).toContain("Unchanged: runs/small/plan.json");
    expect(planText(cwd)).toBe(bytes);
  });

  it("is --out, whose directory is made", async () => {
    const { exit, stdout } = await plan("-o", "deep/er/p.json");
    expect(exit).toBe(0);
    expect(stdout).toContain("Wrote deep/er/p.json");
    expect(readFileSync(join(cwd, "deep/er/p.json"), "utf8")).toBe(planText(cwd));
  });

  it("is nowhere in a dry run, unless --out says so; then it is not to be executed", async () => {
    const away = directoryWith({ "recipe.yaml": readFileSync("recipes/tinyllama-cpu.yaml", "utf8") });
    const dry = (...argv: string[]) => lema(["plan", "recipe.yaml", "--dry-run", ...argv], { cwd: away });
    expect((await dry()).stdout).toContain("Nothing was written (--dry-run).");
    expect(readdirSync(away)).toEqual(["recipe.yaml"]);
    const { stdout } = await dry("--out", "p.json");
    expect(stdout).toContain("Look at it with: lema show p.json");
    expect(JSON.parse(readFileSync(join(away, "p.json"), "utf8")).executable).toBe(false);
  });

  it("is nowhere without weights, and how to get them is said", async () => {
    const away = directoryWith({ "recipe.yaml": readFileSync("recipes/llama2-p100.yaml", "utf8") });
    const { exit, stderr } = await lema(["plan", "recipe.yaml"], { cwd: away });
    expect(exit).toBe(1);
    expect(stderr).toContain("[model.not-found]");
    expect(stderr).toContain("`lema pull NousResearch/Llama-2-7b-hf` fetches it");
    expect(stderr).toContain("with --dry-run its shape is enough");
  });

  it("is never a directory that holds another plan's run", async () => {
    const busy = await makeSmallTraining();
    mkdirSync(join(busy, "runs/small"), { recursive: true });
    writeFileSync(join(busy, "runs/small/run.json"), "{}");
    const { exit, stderr } = await lema(["plan", "recipe.yaml"], { cwd: busy });
    expect(exit).toBe(1);
    expect(stderr).toContain("[run.output-exists]");
    expect(existsSync(join(busy, "runs/small/plan.json"))).toBe(false);
  });
});

it("--detailed-exitcode says whether the plan is another one", async () => {
  const target = ["-o", "watched.json", "--detailed-exitcode"];
  expect((await plan(...target)).exit).toBe(2);
  expect((await plan(...target)).exit).toBe(0);
  expect((await plan(...target, "--set", "training.learning_rate=2e-3")).exit).toBe(2);
});

describe("--json", () => {
  it("has the keys that other tools rely on", async () => {
    const { plan_id, fits, memory, traffic, time, shape } = await figures("--dry-run");
    expect(plan_id).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(fits).toBe(true);
    expect(Object.keys(memory)).toEqual(["ram"]);
    expect(memory.ram.arena + memory.ram.reserve).toBe(memory.ram.total);
    expect(memory.ram.total).toBeLessThanOrEqual(memory.ram.budget);
    expect(traffic.disk.bytes).toBeGreaterThanOrEqual(traffic.disk.bound);
    expect(time.step_ns).toBeGreaterThanOrEqual(time.bound_ns);
    expect(["disk", "compute"]).toContain(time.bottleneck);
    expect(shape.micro_batches * shape.tokens_per_step).toBeGreaterThan(0);
    expect(shape).toMatchObject({ resident_units: expect.any(Number), ring: expect.any(Number) });
  });

  it("says what would fit where nothing does, and that budget is exact", async () => {
    const { exit, stdout, stderr } = await plan("--dry-run", "--json", "--what-if", "ram=129MiB");
    expect(exit).toBe(3);
    expect(stderr).toContain("[plan.does-not-fit]");
    const { fits, plan_id, memory } = JSON.parse(stdout);
    expect({ fits, plan_id }).toEqual({ fits: false, plan_id: null });
    const enough = await plan("--dry-run", "--what-if", `ram=${memory.ram.total}`);
    const less = await plan("--dry-run", "--what-if", `ram=${memory.ram.total - 64}`);
    expect([enough.exit, less.exit]).toEqual([0, 3]);
  });
});

describe("--what-if", () => {
  it("says what would fit, also where the recipe's own reserve is more than the budget", async () => {
    const { exit, stderr } = await plan(
      ...["--dry-run", "--set", "memory.reserve.ram=64 MiB", "--what-if", "ram=32MiB"],
    );
    expect(exit).toBe(3);
    expect(stderr).toMatch(/ram budget of 32\.0 MiB is too small: at least \d+ bytes/);
  });

  it("plans for other budgets and writes nothing", async () => {
    const before = planText(cwd);
    const { exit, stdout } = await plan("--what-if", "ram=1GiB");
    expect(exit).toBe(0);
    expect(stdout).toContain("of 1.00 GiB");
    expect(stdout).toContain("Nothing was written (--what-if).");
    expect(planText(cwd)).toBe(before);
  });

  it("may add a tier", async () => {
    const { memory, traffic } = await figures("--dry-run", "--what-if", "vram=64MiB,ram=1GiB");
    expect(Object.keys(memory)).toEqual(["vram", "ram"]);
    expect(Object.keys(traffic)).toEqual(["disk", "h2d", "d2h"]);
  });

  it.each(["6GiB", "disk=1GiB", "vram="])("refuses %s", async (text) => {
    const { exit, stderr } = await plan("--what-if", text);
    expect(exit).toBe(1);
    expect(stderr).toContain("Write it as vram=6GiB,ram=8GiB.");
  });

  it.each([
    ["--what-if", "vram=6GiB,ram=1GiB,vram=7GiB"],
    ["--what-if", "vram=6GiB", "--what-if", "vram=6GiB"],
  ])("refuses two budgets of a tier: %s %s", async (...argv) => {
    const { exit, stderr } = await plan("--dry-run", ...argv);
    expect(exit).toBe(1);
    expect(stderr).toContain("The budget of vram is given twice.");
  });
});

describe("problems", () => {
  it("of the planner get the place of the recipe's key", async () => {
    const { exit, stderr } = await plan("--set", "sequence.length=128", "--set", "training.batch_size=64");
    expect(exit).toBe(3);
    expect(stderr).toMatch(/┌ recipe\.yaml:\d+:\d+\n.*memory: \{ram: /);
    expect(stderr).toContain("peak at ");
  });

  it("of a known shape stand at the recipe's key: a window that is too short, a model that is not known", async () => {
    const dry = (...set: string[]) => plan("--dry-run", ...set.flatMap((one) => ["--set", one]));
    const mistral = "model=mistralai/Mistral-7B-v0.1";
    const windowed = await dry(mistral, "sequence.length=8192");
    expect(windowed.exit).toBe(1);
    expect(windowed.stderr).toContain("the model attends to 4096 tokens (sliding_window)");
    expect(windowed.stderr).toContain("at --set sequence.length=8192 (sequence.length)");
    const unknown = await dry("model=mistralai/Mistral-7B-v0.4");
    expect(unknown.stderr).toContain("hint: did you mean mistralai/Mistral-7B-v0.1?");
    expect(unknown.stderr).toContain("at --set model=mistralai/Mistral-7B-v0.4 (model)");
  });

  it("of the dataset stop before anything is written", async () => {
    const { exit, stderr } = await plan("--set", "dataset.path=absent.jsonl", "-o", "never.json");
    expect(exit).toBe(1);
    expect(stderr).toContain("[data.unreadable]");
    expect(existsSync(join(cwd, "never.json"))).toBe(false);
  });

  it("of the file system are the environment's", async () => {
    writeFileSync(join(cwd, "file"), "");
    const { exit, stderr } = await plan("-o", "file/p.json");
    expect(exit).toBe(1);
    expect(stderr).toContain("error (environment)");
  });
});

describe("passes", () => {
  it("are dumped to stderr, or to files in their order", async () => {
    const { stderr } = await plan("--dry-run", "--dump-after", "choose-shape");
    expect(stderr).toMatch(/^--- after choose-shape\n\{/);
    expect((await plan("--dry-run", "--dump-after", "all", "--dump-dir", "dumps")).stderr).toBe("");
    const files = readdirSync(join(cwd, "dumps")).sort();
    expect(files[0]).toBe("00-units.json");
    expect(files.at(-1)).toMatch(/^\d\d-verify\.json$/);
    for (const file of files) JSON.parse(readFileSync(join(cwd, "dumps", file), "utf8"));
  });

  it("are listed when there is none of that name", async () => {
    const { exit, stderr } = await plan("--dry-run", "--dump-after", "layuot");
    expect(exit).toBe(1);
    expect(stderr).toContain("there is no pass `layuot` [cli.usage]");
    expect(stderr).toContain("layout");
  });

  it("are timed on stderr", async () => {
    expect((await plan("--dry-run", "--timings")).stderr).toMatch(/\nlayout +\d+\.\d ms\n/);
  });
});
