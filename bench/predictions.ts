/**
 * How well a probed profile predicts, as a user would find it: `lema probe`, then recipes planned with `hardware: auto`
 * and run. They are the quickstart's and one on the bench model of `bench/run.ts`, each at three budgets.
 *
 *   npx tsx bench/predictions.ts [--rounds 2] [--model scratch/bench/model] [--out bench/results/predictions.json]
 *
 * lema must be built. Each round probes anew and runs every case straight after it, since a shared machine changes its
 * speed from minute to minute and a profile cannot know of that; a case's error is the median of its rounds. What a
 * profile does say is checked against a step's lanes, which are recorded beside it.
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

interface Case {
  readonly name: string;
  readonly recipe: string;
  readonly ram: string;
  readonly steps: number;
  /** The first steps: weights are hashed as they come, and memory is touched for the first time. */
  readonly warmup: number;
}

interface Outcome {
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
    return cases.map(outcomeOf);
  });
  const rows = cases.map(({ name }, at) => {
    const own = rounds.map((round) => round[at]!);
    const error = median(own.map((outcome) => outcome.error));
    console.log(
      `${name.padEnd(28)} ${signed(error)}  (${own.map((outcome) => signed(outcome.error)).join(", ")})`,
    );
    return { name, error, rounds: own };
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

function outcomeOf({ name, recipe, ram, steps, warmup }: Case): Outcome {
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
