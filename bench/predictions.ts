/**
 * How well a probed profile predicts, as a user would find it: `lema probe`, then recipes planned with `hardware: auto`
 * and run. They are the quickstart's and one on the bench model of `bench/run.ts`, each at three budgets.
 *
 *   npx tsx bench/predictions.ts [--rounds 2] [--model scratch/bench/model] [--out bench/results/predictions.json]
 *
 * lema must be built. Each round probes anew and runs every case straight after it. A shared machine changes its speed
 * from minute to minute, and a profile cannot know of that, so a quick probe before and after each case says how fast it
 * is: a case's error is the median of the rounds in which calls took within 5 % of what they took right after the profile
 * was made. The others are recorded with how far they drifted. What a profile does say is checked against a step's lanes,
 * which are recorded too.
 * `--conditions`: what else the machine did, for the record. `--profile FILE`: instead of probing.
 */
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { median } from "../cli/probe/median.ts";
import { counterRandom } from "../schemas/counter-rng.ts";
import { type HardwareProfile, parseHardware } from "../schemas/hardware.ts";
import { BENCH_VOCABULARY, ensureBenchModel } from "./bench-model.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "2" },
    model: { type: "string", default: "scratch/bench/model" },
    profile: { type: "string" },
    conditions: { type: "string", default: "" },
    out: { type: "string", default: "bench/results/predictions.json" },
  },
});

/** A round in which the machine changed more says nothing of the profile. */
const MOST_DRIFT = 0.05;

interface Case {
  readonly name: string;
  readonly recipe: string;
  readonly ram: string;
  readonly steps: number;
  /** The first steps: weights are hashed as they come, and memory is touched for the first time. */
  readonly warmup: number;
}

interface Outcome {
  /** By how much longer calls took, before and after, than when the machine was probed. */
  readonly drift: number;
  readonly predicted_seconds: number;
  readonly measured_seconds: number;
  readonly error: number;
  readonly seconds: readonly number[];
  /** Of the last step: milliseconds at work, predicted and measured. */
  readonly lanes: Readonly<Record<string, readonly [predicted: number, measured: number]>>;
  readonly load: number;
}

const root = fileURLToPath(new URL("..", import.meta.url));
const [model, out, given] = [values.model, values.out, values.profile].map((path) => path && resolve(path));
process.chdir(root);
const directory = mkdtempSync(join(tmpdir(), "lema-predictions-"));
const config = join(directory, "config");
const profile = join(config, "lema/hardware.yaml");
try {
  const conditions = values.conditions;
  await ensureBenchModel(model!);
  const cases = prepareCases();
  const rounds = Array.from({ length: Number(values.rounds) }, () => {
    probe();
    const probed = timeCalls();
    let before = 1;
    return cases.map((one): Outcome => {
      const outcome = outcomeOf(one);
      const after = slowdown(timeCalls(), probed);
      const drift = (before + after) / 2 - 1;
      before = after;
      return { ...outcome, drift };
    });
  });
  const rows = cases.map(({ name }, at) => {
    const own = rounds.map((round) => round[at]!);
    const steady = own.filter(({ drift }) => Math.abs(drift) <= MOST_DRIFT);
    const error = steady.length > 0 ? median(steady.map((outcome) => outcome.error)) : null;
    const each = own.map((outcome) => `${signed(outcome.error)} drifting ${signed(outcome.drift)}`);
    console.log(`${name.padEnd(28)} ${error === null ? "drifted" : signed(error)}  (${each.join(", ")})`);
    return { name, error, steady_rounds: steady.length, rounds: own };
  });
  const command = `npx tsx bench/predictions.ts --rounds ${values.rounds}`;
  const result = { command, cpu: cpus()[0]!.model, conditions, rows };
  writeFileSync(out!, `${JSON.stringify(result, null, 2)}\n`);
} finally {
  rmSync(directory, { recursive: true });
}

function prepareCases(): readonly Case[] {
  const bench = writeBenchRecipe();
  const dataset = "scratch/quickstart/reply.jsonl";
  if (!existsSync(dataset)) lema("dataset", "build", "-o", dataset);
  return [
    ...["224 MiB", "256 MiB", "320 MiB"].map((ram) => ({
      name: `quickstart, ${ram}`,
      recipe: "recipes/quickstart.yaml",
      ram,
      steps: 28,
      warmup: 4,
    })),
    ...["350 MiB", "1024 MiB", "4096 MiB"].map((ram) => ({
      name: `bench model, ${ram}`,
      recipe: bench,
      ram,
      steps: 2,
      warmup: 1,
    })),
  ];
}

/** As `bench/run.ts`: 4 × 512 random tokens a step, bf16, the whole budget for the arena. */
function writeBenchRecipe(): string {
  const [file, data] = [join(directory, "bench.yaml"), join(directory, "rows.jsonl")];
  const random = counterRandom(0, "bench.rows");
  const rows = Array.from({ length: 16 }, (_, row) =>
    Array.from({ length: 512 }, (_, at) => Math.floor(random.float(512 * row + at) * BENCH_VOCABULARY)),
  );
  writeFileSync(
    data,
    rows.map((input_ids) => `${JSON.stringify({ input_ids, labels: input_ids })}\n`).join(""),
  );
  writeFileSync(
    file,
    `
lema: 1
model: ${model}
dataset: {path: ${data}, format: tokens}
sequence: {length: 512}
adapter: {rank: 16, targets: all-linear}
training: {steps: 3, batch_size: 4, learning_rate: 1e-4, precision: bf16}
memory: {ram: 1 GiB, reserve: {ram: 0 B}}
output: ${join(directory, "run")}
`,
  );
  return file;
}

function probe(): void {
  mkdirSync(dirname(profile), { recursive: true });
  if (given !== undefined) copyFileSync(given, profile);
  else console.log(lema("probe", "--directory", dirname(model!)));
}

type MeasuredCall = NonNullable<HardwareProfile["compute"]["calls"]>[number];

/** By a quick probe. */
function timeCalls(): readonly MeasuredCall[] {
  const file = join(directory, "quick.yaml");
  lema("probe", "--quick", "--directory", dirname(model!), "--out", file);
  return parseHardware(readFileSync(file, "utf8"), { file }).profile!.compute.calls!;
}

/** How many times as long the same calls took, as the mean of logarithms. */
function slowdown(calls: readonly MeasuredCall[], before: readonly MeasuredCall[]): number {
  const logarithms = calls.map(({ ns }, at) => Math.log(ns / before[at]!.ns));
  return Math.exp(logarithms.reduce((sum, one) => sum + one, 0) / logarithms.length);
}

function outcomeOf({ name, recipe, ram, steps, warmup }: Case): Omit<Outcome, "drift"> {
  const run = join(directory, "run");
  rmSync(run, { recursive: true, force: true });
  const settings = {
    hardware: "auto",
    "memory.ram": ram,
    "training.steps": steps,
    "checkpoint.every": "never",
    output: run,
  };
  const load = loadavg()[0]!;
  lema("plan", recipe, ...Object.entries(settings).flatMap(([key, value]) => ["--set", `${key}=${value}`]));
  lema("exec", run, "--trace");
  const explained = JSON.parse(lema("explain", run, "--json")) as Explained;
  const metrics = readFileSync(join(run, "metrics.jsonl"), "utf8").trim().split("\n");
  const seconds = metrics.slice(warmup).map((row) => (JSON.parse(row) as { seconds: number }).seconds);
  const [predicted, measured] = [explained.step.predicted_ns / 1e9, median(seconds)];
  const error = predicted / measured - 1;
  const shown = `predicted ${predicted.toFixed(3)} s, measured ${measured.toFixed(3)} s`;
  console.log(`${name.padEnd(28)} ${shown} (${signed(error)}), load ${load.toFixed(1)}`);
  const lanes = Object.fromEntries(
    explained.lanes.map(({ lane, predicted_ns, measured_ns }) => [
      lane,
      [Math.round(predicted_ns / 1e6), Math.round(measured_ns / 1e6)] as const,
    ]),
  );
  return { predicted_seconds: predicted, measured_seconds: measured, error, seconds, lanes, load };
}

/** Of `lema explain --json`. */
interface Explained {
  readonly step: { readonly predicted_ns: number };
  readonly lanes: readonly {
    readonly lane: string;
    readonly predicted_ns: number;
    readonly measured_ns: number;
  }[];
}

/** What a command prints; it runs in a process of its own. */
function lema(...argv: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join("bin", "lema.js"), ...argv], {
    encoding: "utf8",
    maxBuffer: 2 ** 26,
    env: { ...process.env, XDG_CONFIG_HOME: config },
  });
  if (status !== 0) throw new Error(`lema ${argv.join(" ")}\n${stdout}${stderr}`);
  return stdout;
}

function signed(share: number): string {
  return `${share < 0 ? "−" : "+"}${Math.abs(100 * share).toFixed(1)} %`;
}
