/**
 * What recipes cost under budgets that they do not have: predicted time of a step, and per link the bytes moved beside
 * the bound, for every pair of a grid. Says where more memory is slower, and where a link moves more than its bound.
 *
 *   npx tsx bench/budget-grid.ts [RECIPE…] [--ram 8,12,16] [--vram 2,4,8] [--out bench/results/budget-grid.json]
 *
 * Sizes are GiB; by default all of recipes/ but the quickstart. Budgets that do not fit have no row.
 */
import { readdirSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { loadRecipe } from "../cli/load-recipe.ts";
import { boundTraffic } from "../planner/passes/bound-traffic.ts";
import { chooseShape } from "../planner/passes/choose-shape.ts";
import { emit } from "../planner/passes/emit.ts";
import { feasible } from "../planner/passes/feasible.ts";
import { effectContext, realizeWork } from "../planner/passes/realize.ts";
import { simulate } from "../planner/passes/simulate.ts";
import { sync } from "../planner/passes/sync.ts";
import { buildVariants } from "../planner/shape/training-variant.ts";
import { readInputs } from "../workflow/read-inputs.ts";

interface Row {
  readonly recipe: string;
  readonly ram_gib: number;
  /** `null` with two tiers. */
  readonly vram_gib: number | null;
  readonly step_s: number;
  readonly disk_gib: number;
  readonly disk_bound_gib: number;
  readonly h2d_gap_percent: number;
  readonly ram: string;
  readonly shape: string;
}

const GIB = 2 ** 30;
const cwd = process.cwd();

async function rowOf(recipe: string, ram: number, vram: number | null): Promise<Row | undefined> {
  const overrides = [`memory.ram=${ram}GiB`, ...(vram === null ? [] : [`memory.vram=${vram}GiB`])];
  const loaded = loadRecipe(recipe, overrides, { cwd, env: {} });
  const options = { ...loaded, lemaVersion: "0.0.0", cwd, cacheDirectory: null, dryRun: true };
  const { inputs } = await readInputs(options);
  const variants = buildVariants(inputs);
  if (feasible(variants).length > 0) return undefined;
  const { variant, shape, choice } = chooseShape(variants);
  const laidOut = realizeWork(variant, shape);
  const context = effectContext(variant, laidOut);
  const programs = emit(inputs, sync(laidOut, context), context);
  const links = boundTraffic(laidOut, variant.units, programs);
  const link = (name: string) => links.find((one) => one.link === name);
  const [prediction] = simulate(programs, laidOut.procedures, inputs);
  const chosen = (name: string) => choice.decisions.find((one) => one.name === name)?.chosen ?? "";
  return {
    recipe,
    ram_gib: ram,
    vram_gib: vram,
    step_s: prediction!.step_ns / 1e9,
    disk_gib: link("disk")!.moved / GIB,
    disk_bound_gib: link("disk")!.bound / GIB,
    h2d_gap_percent: (link("h2d")?.gap_ppm ?? 0) / 1e4,
    ram: chosen("ram"),
    shape: ["units", "pinned", "ring", "kept", "inputs", "micro-batch"].map(chosen).join("; "),
  };
}

const sizes = (text: string) => text.split(",").map(Number);
const { values, positionals } = parseArgs({
  options: {
    out: { type: "string" },
    ram: { type: "string", default: "4,8,10,12,16,20,24,32" },
    vram: { type: "string", default: "2,4,6,8,10,12,14,20" },
  },
  allowPositionals: true,
});
const shipped = readdirSync("recipes").filter((name) => name.endsWith(".yaml") && name !== "quickstart.yaml");
const recipes = positionals.length > 0 ? positionals : shipped.map((name) => `recipes/${name}`);
const rows: Row[] = [];
for (const recipe of recipes) {
  const { memory } = loadRecipe(recipe, [], { cwd, env: {} }).recipe;
  for (const ram of sizes(values.ram)) {
    for (const vram of memory.vram === null ? [null] : sizes(values.vram)) {
      const row = await rowOf(recipe, ram, vram);
      if (row) rows.push(row);
    }
  }
}
console.table(
  rows.map(({ recipe, disk_gib, disk_bound_gib, step_s, ...row }) => ({
    recipe: recipe.replace(/^recipes\/|\.yaml$/g, ""),
    ...row,
    step_s: step_s.toFixed(3),
    disk_gib: disk_gib.toFixed(3),
    gap_percent: disk_gib === disk_bound_gib ? "0.00" : (100 * (disk_gib / disk_bound_gib - 1)).toFixed(2),
  })),
);
/** Rows that are slower than one with no more of either memory. */
const slower = rows.flatMap((row) => {
  const smaller = rows.filter(
    (one) =>
      one.recipe === row.recipe &&
      one.ram_gib <= row.ram_gib &&
      (one.vram_gib ?? 0) <= (row.vram_gib ?? 0) &&
      one.step_s < row.step_s,
  );
  const best = smaller.toSorted((a, b) => a.step_s - b.step_s)[0];
  return best
    ? [{ ...row, faster: `${best.ram_gib}/${best.vram_gib}`, by: row.step_s / best.step_s - 1 }]
    : [];
});
console.log(`slower with more memory: ${slower.length} of ${rows.length}`);
console.table(
  slower.map(({ recipe, ram_gib, vram_gib, step_s, faster, by }) => ({
    recipe,
    ram_gib,
    vram_gib,
    step_s,
    faster,
    by: `${(100 * by).toFixed(3)} %`,
  })),
);
if (values.out) writeFileSync(values.out, `${JSON.stringify({ rows }, null, 2)}\n`);
