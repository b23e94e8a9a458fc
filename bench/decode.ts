/**
 * What a token costs when all is resident: the time of a decode step, how much of it the engine computes, and how fast
 * it goes through the weights, which bound it. Fastest and median of many steps, on a model that lies in the caches of
 * a processor and on one that does not.
 *
 *   npx tsx bench/decode.ts [--tokens 200] [--threads 2] [--out bench/results/decode.json]
 *
 * `--conditions`: what else the machine did, for the record.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median } from "../cli/probe/median.ts";
import { makeLlama } from "../models/make-llama.ts";
import { compileGeneration } from "../planner/compile.ts";
import { parseHardware } from "../schemas/hardware.ts";
import { openGeneration } from "../workflow/open-generation.ts";

const { values } = parseArgs({
  options: {
    tokens: { type: "string", default: "200" },
    threads: { type: "string", default: "2" },
    conditions: { type: "string", default: "" },
    out: { type: "string", default: join(import.meta.dirname, "results/decode.json") },
  },
});
const root = join(import.meta.dirname, "..");
const { profile } = parseHardware(readFileSync(join(root, "recipes/hardware/cpu-2core.yaml"), "utf8"), {
  file: "cpu-2core.yaml",
});
if (!profile) throw new Error("the shipped profile is damaged");
const threads = Number(values.threads);
const hardware = { ...profile, compute: { ...profile.compute, threads } };

const directory = mkdtempSync(join(tmpdir(), "lema-decode-"));
const large = join(directory, "large");
await makeLlama({
  directory: large,
  hiddenSize: 1024,
  intermediateSize: 2816,
  layers: 8,
  heads: 16,
  keyValueHeads: 4,
  vocabSize: 512,
  dtype: "bf16",
  seed: 1,
});
const rows = [];
for (const [name, model] of [
  ["lema-mini, f32", join(root, "assets/lema-mini")],
  ["made, 8 blocks of hidden size 1024, bf16", large],
] as const) {
  rows.push({ name, ...(await measure(model)) });
}
rmSync(directory, { recursive: true });
const record = {
  command: "npx tsx bench/decode.ts",
  cpu: cpus()[0]?.model.trim(),
  threads,
  conditions: values.conditions || `load ${loadavg()[0]!.toFixed(1)} while it ran`,
  rows,
};
writeFileSync(values.out, `${JSON.stringify(record, null, 2)}\n`);
process.stdout.write(`${JSON.stringify(record, null, 2)}\n`);

async function measure(model: string) {
  const memory = { ram: null, vram: null };
  const { session } = await openGeneration(
    { model, adapter: "applied", base: null, context: 512, memory, cwd: root, cacheDirectory: null },
    {
      hardware,
      lemaVersion: "bench",
      compile: compileGeneration,
      engine: { backend: "cpu", serialLanes: false, diskThrottle: null },
    },
  );
  const { units } = session.plan;
  const weights = units.reduce((sum, { kind, bytes }) => sum + (kind === "embedding" ? 0 : bytes), 0);
  const steps: number[] = [];
  const engine: number[] = [];
  const cpu = process.cpuUsage();
  for (let token = 0; token < Number(values.tokens); token++) {
    const start = performance.now();
    await session.feed([token % 200]);
    steps.push(performance.now() - start);
    engine.push(Math.max(...session.trace().map(({ end }) => end ?? 0)) / 1e6);
  }
  const { user, system } = process.cpuUsage(cpu);
  await session.close();
  const fastest = Math.min(...engine);
  return {
    weight_bytes: weights,
    step_ms: { fastest: Math.min(...steps), median: median(steps) },
    engine_ms: { fastest, median: median(engine) },
    cpu_ms_per_token: (user + system) / 1000 / steps.length,
    gigabytes_per_second: weights / fastest / 1e6,
  };
}
