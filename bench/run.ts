/**
 * `npm run bench`: lema beside PEFT on one random Llama (223 M parameters; 12 layers, hidden 1024, vocabulary 32000),
 * 4 × 512 tokens a step, rank 16 on all linears, 2 threads. Both run in turn in one call, each in a process of its own,
 * so that a machine that changes its speed changes both; medians over all rounds are compared.
 *
 *   npm run bench -- [--rounds 3] [--steps 3] [--model scratch/bench/model] [--out bench/results/NAME.json]
 *
 * The matrix-product bound is the time that the planned operations take at oneDNN's rate, measured in the same call.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { formatBytes } from "../schemas/units.ts";
import { ensureBenchModel } from "./bench-model.ts";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    steps: { type: "string", default: "3" },
    model: { type: "string", default: "scratch/bench/model" },
    out: { type: "string" },
  },
});
const MIB = 2 ** 20;
const PYTHON = ".venv/bin/python";
const OP_BENCH = "build/native/bin/lema_op_bench";

interface Sample {
  readonly tokens_per_second: number;
  readonly peak_bytes: number;
  readonly flops_per_step?: number;
}

interface Contender {
  readonly name: string;
  readonly run: () => Sample;
}

const lema = (arena: number, precision: string) => (): Sample => {
  const args = ["tsx", "bench/lema-steps.ts", "--model", options.model, "--arena", String(arena)];
  return JSON.parse(capture("npx", [...args, "--precision", precision, "--steps", options.steps])) as Sample;
};
const peft = (weights: string) => (): Sample => {
  const args = ["bench/peft_baseline.py", "--model", options.model, "--weights", weights, "--warmup", "1"];
  const result = JSON.parse(capture(PYTHON, [...args, "--steps", options.steps])) as Record<string, number>;
  return { tokens_per_second: result.tokens_per_second!, peak_bytes: result.peak_rss_bytes! };
};
const contenders: readonly Contender[] = [
  { name: "lema bf16, resident", run: lema(2 ** 40, "bf16") },
  { name: "PEFT bf16", run: peft("bfloat16") },
  { name: "lema bf16, arena 350 MiB", run: lema(350 * MIB, "bf16") },
  { name: "PEFT f32", run: peft("float32") },
];

await ensureBenchModel(options.model);
execFileSync("bash", ["scripts/parity-venv.sh"], { stdio: ["ignore", "ignore", "inherit"] });

const samples = new Map<string, Sample[]>(contenders.map(({ name }) => [name, []]));
const rates: { f32: number; bf16: number }[] = [];
for (let round = 0; round < Number(options.rounds); round++) {
  rates.push(matrixRates());
  for (const { name, run } of contenders) {
    const sample = run();
    samples.get(name)!.push(sample);
    console.error(`round ${round + 1}  ${name.padEnd(26)} ${sample.tokens_per_second.toFixed(0)} tokens/s`);
  }
}

const rate = { f32: median(rates.map(({ f32 }) => f32)), bf16: median(rates.map(({ bf16 }) => bf16)) };
const tokens = 2048;
const rows = contenders.map(({ name }) => {
  const all = samples.get(name)!;
  const speed = median(all.map(({ tokens_per_second }) => tokens_per_second));
  const flops = all[0]!.flops_per_step;
  const bound = flops === undefined ? null : (tokens * 1e9 * Math.max(rate.f32, rate.bf16)) / flops;
  return { name, speed, peak: median(all.map(({ peak_bytes }) => peak_bytes)), bound, all };
});
const speedOf = (name: string) => rows.find((row) => row.name === name)!.speed;

console.log(
  `${cpus()[0]!.model}, 2 threads; oneDNN f32 ${rate.f32} GFLOP/s, bf16 ${rate.bf16} GFLOP/s; medians of ${options.rounds} rounds`,
);
console.log(`${"".padEnd(26)}  tokens/s  of PEFT bf16  of PEFT f32  of matrix bound  peak memory`);
for (const { name, speed, peak, bound } of rows) {
  const ratio = (to: number) => `${(speed / to).toFixed(2)}×`;
  const share = bound === null ? "" : `${((100 * speed) / bound).toFixed(0)} %`;
  const columns = [
    ratio(speedOf("PEFT bf16")).padStart(12),
    ratio(speedOf("PEFT f32")).padStart(11),
    share.padStart(15),
  ];
  console.log(
    `${name.padEnd(26)}  ${speed.toFixed(0).padStart(8)}  ${columns.join("  ")}  ${formatBytes(peak).padStart(11)}`,
  );
}
if (options.out !== undefined) {
  mkdirSync(dirname(options.out), { recursive: true });
  const command = `npm run bench -- --rounds ${options.rounds} --steps ${options.steps}`;
  const result = { command, cpu: cpus()[0]!.model, matrix_gflops: rate, matrix_gflops_rounds: rates, rows };
  writeFileSync(options.out, `${JSON.stringify(result, null, 2)}\n`);
}

/** oneDNN's rates on all threads, from the bench of the kernels with no kernel selected. */
function matrixRates(): { f32: number; bf16: number } {
  const text = capture(OP_BENCH, ["2", "none"]);
  const rateOf = (dtype: string) => {
    const match = new RegExp(`oneDNN, ${dtype}: ([\\d.]+)`).exec(text);
    if (!match) throw new Error(`${OP_BENCH} printed no ${dtype} rate:\n${text}`);
    return Number(match[1]);
  };
  return { f32: rateOf("f32"), bf16: rateOf("bf16") };
}

function capture(command: string, args: readonly string[]): string {
  return execFileSync(command, [...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    maxBuffer: 2 ** 26,
  });
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
