/**
 * What `lema plan --dry-run` costs, recipe by recipe: processor time, wall time and peak resident memory of the process,
 * each the least of some runs. Processor time is what can be compared while other work runs beside.
 *
 *   npx tsx bench/planning.ts [RECIPE…] [--runs N] [--out bench/results/planning.json]
 *
 * The compiled command line is measured (`npm run build:ts`); by default on all of recipes/.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";

interface Cost {
  readonly cpu_s: number;
  readonly wall_s: number;
  readonly peak_mib: number;
}

/** Runs in the measured process: what it used, when it ends, as the last line of stderr. */
const REPORT = `process.on("exit", () => {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  process.stderr.write("\\n" + JSON.stringify({ cpu: userCPUTime + systemCPUTime, rss: maxRSS }) + "\\n");
});`;

function measure(recipe: string): Cost {
  const begun = performance.now();
  const { status, stderr } = spawnSync(
    process.execPath,
    [
      "--import",
      `data:text/javascript,${encodeURIComponent(REPORT)}`,
      "bin/lema.js",
      "plan",
      recipe,
      "--dry-run",
    ],
    { encoding: "utf8", stdio: ["ignore", "ignore", "pipe"] },
  );
  const wall = performance.now() - begun;
  if (status !== 0) throw new Error(`${recipe}: exit ${status}\n${stderr}`);
  const { cpu, rss } = JSON.parse(stderr.trim().split("\n").at(-1)!) as { cpu: number; rss: number };
  return { cpu_s: cpu / 1e6, wall_s: wall / 1e3, peak_mib: rss / 1024 };
}

function least(costs: readonly Cost[]): Cost {
  const of = (key: keyof Cost) => Number(Math.min(...costs.map((cost) => cost[key])).toFixed(2));
  return { cpu_s: of("cpu_s"), wall_s: of("wall_s"), peak_mib: Math.round(of("peak_mib")) };
}

const { values, positionals } = parseArgs({
  options: { out: { type: "string" }, runs: { type: "string", default: "3" } },
  allowPositionals: true,
});
const shipped = readdirSync("recipes").filter((name) => name.endsWith(".yaml") && name !== "quickstart.yaml");
const recipes = positionals.length > 0 ? positionals : shipped.map((name) => `recipes/${name}`);
const runs = Number(values.runs);
const rows = recipes.map((recipe) => ({
  recipe,
  ...least(Array.from({ length: runs }, () => measure(recipe))),
}));
console.table(rows);
if (values.out) {
  const command = `npx tsx bench/planning.ts --runs ${runs}`;
  const result = { command, cpu: cpus()[0]?.model ?? "unknown", node: process.version, rows };
  writeFileSync(values.out, `${JSON.stringify(result, null, 2)}\n`);
}
