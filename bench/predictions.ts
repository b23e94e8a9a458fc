/**
 * How well a probed profile predicts: measures the machine with `lema probe`, plans a small model and the bench model
 * for three budgets each from that profile alone, then runs them and compares the median step with the prediction.
 *
 *   npx tsx bench/predictions.ts [--model DIR] [--profile FILE] [--rounds N] [--out bench/results/predictions.json]
 *
 * `--model`: the bench model, as `bench/run.ts` makes it; without it the small model alone. `--profile`: one that
 * `lema probe` wrote, instead of probing. `--rounds`: all cases are run one after the other, so many times over, so that
 * a busy minute does not fall on one of them; medians are over the steps of all rounds.
 * `--conditions`: what else the machine did, for the record.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runCli } from "../cli/main.ts";
import { median } from "../cli/probe/median.ts";
import { makeLlama } from "../models/make-llama.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    profile: { type: "string" },
    steps: { type: "string", default: "5" },
    rounds: { type: "string", default: "2" },
    conditions: { type: "string", default: "" },
    out: { type: "string", default: join(import.meta.dirname, "results/predictions.json") },
  },
});
const directory = mkdtempSync(join(tmpdir(), "lema-predictions-"));
const profile = values.profile ?? (await probed());
const smallModel = join(directory, "small-model");
await makeLlama({
  directory: smallModel,
  hiddenSize: 384,
  intermediateSize: 1024,
  layers: 8,
  heads: 6,
  keyValueHeads: 3,
  vocabSize: 259,
  maxPositions: 512,
  dtype: "f32",
  seed: 1,
});
const MEBIBYTE = 2 ** 20;
const cases = [
  ...[40, 64, 160].map((arena) => ({
    name: `small model, f32, arena ${arena} MiB`,
    model: smallModel,
    arena,
    shape: ["--precision", "f32", "--batch", "8", "--length", "64", "--rank", "8"],
    steps: 40,
  })),
  ...(values.model === undefined ? [] : [350, 1024, 4096]).map((arena) => ({
    name: `bench model, bf16, arena ${arena} MiB`,
    model: values.model!,
    arena,
    shape: ["--precision", "bf16"],
    steps: Number(values.steps),
  })),
];
const rounds = Array.from({ length: Number(values.rounds) }, () =>
  cases.map(({ model, arena, shape, steps }) => {
    const load = loadavg()[0]!;
    const argv = ["--model", model, "--arena", String(arena * MEBIBYTE), "--hardware", profile];
    return { load, ...stepsOf([...argv, ...shape, "--steps", String(steps)]) };
  }),
);
const rows = cases.map(({ name }, at) => {
  const runs = rounds.map((round) => round[at]!);
  const { predicted_seconds } = runs[0]!;
  const seconds = runs.flatMap((run) => run.seconds);
  const load = Math.max(...runs.map((run) => run.load));
  const measured = median(seconds);
  const error = predicted_seconds / measured - 1;
  console.log(
    `${name}: predicted ${predicted_seconds.toFixed(3)} s, median ${measured.toFixed(3)} s (${(100 * error).toFixed(1)} %), load ${load.toFixed(1)}`,
  );
  return {
    name,
    predicted_seconds,
    measured_seconds: measured,
    error,
    fastest_seconds: Math.min(...seconds),
    seconds,
    load,
  };
});
const command = `npx tsx bench/predictions.ts${values.model ? " --model DIR" : ""} --rounds ${values.rounds}`;
writeFileSync(
  values.out,
  `${JSON.stringify({ command, cpu: cpus()[0]!.model, conditions: values.conditions, rows }, null, 2)}\n`,
);
rmSync(directory, { recursive: true });

async function probed(): Promise<string> {
  const file = join(directory, "hardware.yaml");
  const io = {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: directory,
  };
  if ((await runCli(["probe", "--out", file, "--directory", directory], io)) !== 0)
    throw new Error("probe failed");
  return file;
}

/** Every case in a process of its own, as a run has. */
function stepsOf(argv: readonly string[]): { predicted_seconds: number; seconds: number[] } {
  const script = join(import.meta.dirname, "lema-steps.ts");
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", script, ...argv], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as { predicted_seconds: number; seconds: number[] };
}
