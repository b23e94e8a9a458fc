/** A small model and dataset on disk, planned and run without the command line. */
import { writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { makeLlama } from "../../models/make-llama.ts";
import { compile } from "../../planner/compile.ts";
import { smallestMemory } from "../../planner/smallest-memory.ts";
import type { Backend } from "../../runtime/addon.ts";
import { findCheckpoint } from "../../runtime/checkpoint.ts";
import { type ExecuteHooks, type ExecuteOptions, execute, type RunResult } from "../../runtime/execute.ts";
import { readMetrics } from "../../runtime/metrics.ts";
import { parseHardware } from "../../schemas/hardware.ts";
import type { Plan } from "../../schemas/plan.ts";
import { parseRecipe } from "../../schemas/recipe.ts";
import { bytes } from "../../schemas/units.ts";
import { openInputs } from "../../workflow/open-inputs.ts";
import { readInputs } from "../../workflow/read-inputs.ts";

const HARDWARE = `
name: test
compute:
  kind: cpu
  threads: 2
  matrix_rate: {f32: 100 GFLOP/s, bf16: 200 GFLOP/s, f16: 100 GFLOP/s}
  memory_bandwidth: 10 GB/s
disk: {bandwidth: 1 GB/s, latency_ns: 100000, direct_io: true}
links: {h2d_bandwidth: 5 GB/s, d2h_bandwidth: 5 GB/s, pinned: false}
memory: {ram: 64 GiB, vram: 64 GiB}
reserve: {ram: 0 B, vram: 0 B}
`;

const TRAINING = "epochs: 2, batch_size: 4, learning_rate: 5e-3, schedule: {type: cosine, warmup: 2 steps}";

/** Layers, so that a ring of slots is smaller than the model, and names beyond 9 sort before 2. */
const LAYERS = 11;

/** Makes `model/` and `data.jsonl` in a directory: 6 steps an epoch, the last of them short. */
export async function makeFiles(directory: string): Promise<void> {
  await makeLlama({
    directory: join(directory, "model"),
    hiddenSize: 16,
    intermediateSize: 24,
    layers: LAYERS,
    heads: 2,
    keyValueHeads: 1,
    vocabSize: 320,
    maxPositions: 64,
    dtype: "bf16",
    seed: 3,
  });
  const rows = Array.from({ length: 25 }, (_, i) => ({ text: `sample ${i} of ${i * i}` }));
  writeFileSync(join(directory, "data.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
}

export interface PlanChange {
  /** Of the recipe's `training` section. */
  readonly training?: string;
  /** The smallest ram budget instead of a plentiful one. */
  readonly smallest?: true;
  readonly adapter?: string;
  readonly checkpoint?: string;
  readonly memory?: string;
  readonly output?: string;
}

export async function makePlan(directory: string, change: PlanChange = {}): Promise<Plan> {
  const text = `
lema: 1
model: ./model
dataset: {path: ./data.jsonl, format: text, validation: 3 rows}
sequence: {length: 32, packing: false}
adapter: ${change.adapter ?? "{type: lora, rank: 2, alpha: 4}"}
training: {${change.training ?? TRAINING}, precision: f32}
memory: ${change.memory ?? "{ram: 1 GiB}"}
checkpoint: ${change.checkpoint ?? "{every: 4 steps, keep: 2}"}
output: ${change.output ?? "run"}
`;
  const { recipe, diagnostics } = parseRecipe(text, { file: "small.yaml" });
  if (!recipe) throw new Error(JSON.stringify(diagnostics));
  const { inputs } = await readInputs({
    recipe,
    hardware: parseHardware(HARDWARE, { file: "test" }).profile!,
    lemaVersion: "0.0.0",
    cwd: directory,
    cacheDirectory: null,
    dryRun: false,
  });
  const ram = change.smallest ? smallestMemory(inputs).ram!.total : recipe.memory.ram;
  const budgeted = { ...inputs, recipe: { ...recipe, memory: { ...recipe.memory, ram: bytes(ram) } } };
  const { plan, diagnostics: problems } = compile(budgeted);
  if (!plan) throw new Error(JSON.stringify(problems));
  return plan;
}

export interface RunChange extends Partial<Pick<ExecuteOptions, "stopAfter" | "stop" | "cancel" | "trace">> {
  readonly backend?: Backend;
  readonly threads?: number;
  /** Name of a checkpoint, or `latest`. */
  readonly resume?: string;
}

/** Runs a plan in `directory`/`name`. */
export async function run(
  directory: string,
  name: string,
  plan: Plan,
  change: RunChange = {},
  hooks: ExecuteHooks = {},
): Promise<RunResult> {
  const output = join(directory, name);
  const { resume, threads, backend = "cpu", ...rest } = change;
  const inputs = await openInputs(plan, { cwd: directory, cacheDirectory: null });
  return execute(
    plan,
    {
      ...inputs,
      output,
      resume: resume === undefined ? null : await findCheckpoint(output, resume),
      stopAfter: null,
      stop: null,
      cancel: null,
      trace: false,
      engine: { backend, threads: threads ?? null, serialLanes: false, diskThrottle: null },
      lemaVersion: "0.0.0",
      ...rest,
    },
    hooks,
  );
}

/** Everything of a finished run that two runs of one training share, wall time left out. */
export async function outcome(directory: string, name: string): Promise<Record<string, unknown>> {
  const run = join(directory, name);
  const contentOf = async (file: string) => (await readFile(join(run, "final", file))).toString("base64");
  const withoutTime = (row: object): object => ({ ...row, seconds: 0 });
  const trainer = JSON.parse(await readFile(join(run, "final", "trainer_state.json"), "utf8")) as {
    log_history: object[];
  };
  return {
    adapter: await contentOf("adapter_model.safetensors"),
    optimizer: await contentOf("optimizer.safetensors"),
    config: await contentOf("adapter_config.json"),
    metrics: (await readMetrics(run)).map(withoutTime),
    trainer: { ...trainer, log_history: trainer.log_history.map(withoutTime) },
  };
}
