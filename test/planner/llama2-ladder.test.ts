/** What the shipped Llama-2-7B recipe promises at every budget, from the least that it can be trained in. */
import { beforeAll, describe, expect, it } from "vitest";
import { ladder, ladderSizes } from "../../cli/ladder.ts";
import { loadRecipe } from "../../cli/load-recipe.ts";
import type { PlanFacts } from "../../cli/render/plan-facts.ts";
import { compile } from "../../planner/compile.ts";
import type { Inputs } from "../../schemas/inputs.ts";
import type { Plan } from "../../schemas/plan.ts";
import { readInputs } from "../../workflow/read-inputs.ts";
import { lema } from "../cli/run-in-process.ts";

const RECIPE = "recipes/llama2-p100.yaml";
const GIB = 2 ** 30;
const PAGE = 4096;
/** The moment of the peak, and its five largest buffers. */
const PEAK = /peak at \S+; the largest buffers alive then:\n(?:[ │]*[\d.]+ [KMG]iB +\S+\n){5}/;
/** A plan takes a second; a machine that is busy elsewhere may take many times that. */
const PATIENCE = 300_000;

async function inputsWith(...overrides: readonly string[]): Promise<Inputs> {
  const cwd = process.cwd();
  const { recipe, hardware } = loadRecipe(RECIPE, overrides, { cwd, env: {} });
  const options = { recipe, hardware, lemaVersion: "0.0.0", cwd, cacheDirectory: null, dryRun: true };
  return (await readInputs(options)).inputs;
}

function planned(inputs: Inputs): Plan {
  const { plan, diagnostics } = compile(inputs);
  if (!plan) throw new Error(diagnostics.map(({ summary }) => summary).join("\n"));
  return plan;
}

describe("8 GiB of ram and every budget of vram", () => {
  let rows: readonly PlanFacts[] = [];
  beforeAll(async () => {
    const compared = ladder(await inputsWith("memory.ram=8GiB"), ladderSizes(true));
    rows = compared.rows.filter((row) => row.fits);
    expect(rows.length).toBe(compared.rows.length);
  }, PATIENCE);

  it("needs no more than 1.0 GiB of vram arena at the least", () => {
    const [least] = rows;
    expect(least!.memory.vram!.arena).toBeLessThanOrEqual(GIB);
    expect(least!.memory.vram!.total).toBe(least!.memory.vram!.budget);
  });

  it("is never slower with more", () => {
    const times = rows.map(({ time }) => time.step_ns);
    expect(times).toEqual(times.toSorted((a, b) => b - a));
    expect(times.at(-1)).toBeLessThan(times[0]! / 2);
  });

  it("moves at most 2 % more than the bound over any link", () => {
    for (const { traffic } of rows) {
      for (const link of ["disk", "h2d", "d2h"]) {
        expect(traffic[link]!.bytes).toBeLessThanOrEqual(1.02 * traffic[link]!.bound);
      }
    }
  });

  it("exits with 3 one page below the least", async () => {
    const budgets = `vram=${rows[0]!.memory.vram!.budget - PAGE},ram=8GiB`;
    const { exit, stderr } = await lema(["plan", RECIPE, "--dry-run", "--what-if", budgets]);
    expect(exit).toBe(3);
    expect(stderr).toContain(`at least ${rows[0]!.memory.vram!.budget} bytes`);
    expect(stderr).toMatch(PEAK);
  });
});

it(
  "below the least ram exits with 3 and names the least that fits, to the page",
  async () => {
    const dry = (ram: number) => lema(["plan", RECIPE, "--dry-run", "--json", "--what-if", `ram=${ram}`]);
    const refused = await dry(600 * 2 ** 20);
    expect(refused.exit).toBe(3);
    expect(refused.stderr).toMatch(PEAK);
    const { total } = JSON.parse(refused.stdout).memory.ram;
    expect(refused.stderr).toContain(`at least ${total} bytes`);
    expect((await dry(total - PAGE)).exit).toBe(3);
    const enough = await dry(total);
    expect({ exit: enough.exit, stderr: enough.stderr }).toEqual({ exit: 0, stderr: "" });
    expect(JSON.parse(enough.stdout).memory.ram.total).toBe(total);
  },
  PATIENCE,
);

it(
  "fits in 6.36 GB of vram and 2.40 GB of ram at once",
  async () => {
    const { budgets, shape } = planned(await inputsWith("memory.vram=6.36GB", "memory.ram=2.40GB"));
    expect([budgets.vram!.budget, budgets.ram.budget]).toEqual([6_360_000_000, 2_400_000_000]);
    expect(budgets.vram!.total).toBeLessThanOrEqual(6_360_000_000);
    expect(budgets.ram.total).toBeLessThanOrEqual(2_400_000_000);
    expect(shape).toMatchObject({ batch_size: 8, sequence_length: 512 });
  },
  PATIENCE,
);

// The boundary activations of a step take 16 GiB or 32 GiB over both tiers.
it.each([
  { length: 4096, batch: 8, ram: 12 },
  { length: 8192, batch: 4, ram: 12 },
  { length: 8192, batch: 8, ram: 29 },
])(
  "plans $batch sequences of $length tokens a step within 16 GiB of vram and $ram GiB of ram, as the machine has",
  async ({ length, batch, ram }) => {
    const memory = [`memory.ram=${ram}GiB`, "memory.vram=16GiB"];
    const sizes = [`sequence.length=${length}`, `training.batch_size=${batch}`];
    const inputs = await inputsWith(...sizes, ...memory);
    const { budgets, shape } = planned(inputs);
    expect(shape).toMatchObject({ sequence_length: length, batch_size: batch });
    expect(budgets.vram!.total).toBeLessThanOrEqual(16 * GIB);
    expect(budgets.ram.total).toBeLessThanOrEqual(inputs.hardware.memory.ram);
  },
  PATIENCE,
);
