/** A golden parity case (test/golden/parity/NAME) as `Inputs`, so that the planner and the engine can run it. */

import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { PackedDataset } from "../../data/pack.ts";
import { openCheckpoint } from "../../models/checkpoint.ts";
import { describeLlama, describeLlamaGeneration } from "../../models/describe-llama.ts";
import { digestCheckpoint } from "../../models/digest.ts";
import { decodeFloats } from "../../models/float-codec.ts";
import { readLlamaConfig } from "../../models/llama.ts";
import { uniformLora } from "../../models/lora.ts";
import { type PeftAdapter, readPeftAdapter } from "../../models/peft.ts";
import { readSafetensorsHeader } from "../../models/safetensors.ts";
import { parseHardware } from "../../schemas/hardware.ts";
import { type GenerationInputs, type Inputs, type Numerics, numericsFor } from "../../schemas/inputs.ts";
import { opTableHash } from "../../schemas/op-table.ts";
import { parseRecipe } from "../../schemas/recipe.ts";
import { bytes } from "../../schemas/units.ts";

const ROOT = resolve(import.meta.dirname, "../golden/parity");

export function caseNames(): readonly string[] {
  return readdirSync(ROOT, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
}

interface Row {
  readonly tokens: readonly number[];
  readonly labels: readonly number[];
  readonly positions: readonly number[];
  readonly segment_start: readonly number[];
}

interface CaseFile {
  readonly precisions: readonly Numerics["precision"][];
  readonly sequence_length: number;
  /** Steps of the expected `curve`, where there is one. */
  readonly curve_steps?: number;
  readonly batches: readonly (readonly Row[])[];
  readonly training: {
    readonly learning_rate: number;
    readonly betas: readonly [number, number];
    readonly eps: number;
    readonly weight_decay: number;
    readonly max_grad_norm: number;
  };
}

export interface ParityCase {
  readonly name: string;
  readonly file: CaseFile;
  readonly directory: string;
  readonly adapter: PeftAdapter;
  /** All batches one after the other; step k takes the rows of batch k mod n. */
  readonly dataset: PackedDataset;
  readonly rowsPerStep: number;
  /** `loss`, `grad.NAME`, … as float32. */
  readonly expected: ReadonlyMap<string, Float32Array>;
}

export async function readCase(name: string): Promise<ParityCase> {
  const directory = join(ROOT, name);
  const file = JSON.parse(readFileSync(join(directory, "case.json"), "utf8")) as CaseFile;
  const { config } = readLlamaConfig((await openCheckpoint(join(directory, "model"))).config);
  const adapter = await readPeftAdapter(join(directory, "adapter"), config!);
  const expected = await readFloats(join(directory, "expected.safetensors"));
  return {
    name,
    file,
    directory,
    adapter,
    dataset: datasetOf(file),
    rowsPerStep: file.batches[0]!.length,
    expected,
  };
}

export interface MachineOptions {
  readonly ram?: number;
  readonly vram?: number;
  readonly microBatch?: number;
  readonly threads?: number;
  readonly steps?: number;
  readonly precision?: Numerics["precision"];
}

/** What the planner gets for a case on a machine; nothing is reserved, so a budget is an arena. */
export async function caseInputs(parity: ParityCase, options: MachineOptions = {}): Promise<Inputs> {
  const { file, directory, adapter } = parity;
  const { precision = "f32", ram = 2 ** 34, vram, microBatch = "auto", threads = 2, steps = 20 } = options;
  const { training, sequence_length } = file;
  const { recipe, diagnostics } = parseRecipe(
    `
lema: 1
model: ${join(directory, "model")}
dataset: {path: none.jsonl, format: tokens, shuffle: false}
sequence: {length: ${sequence_length}}
adapter: {type: lora, from: ${join(directory, "adapter")}}
training:
  steps: ${steps}
  batch_size: ${parity.rowsPerStep}
  micro_batch: ${microBatch}
  optimizer: {type: adamw, weight_decay: ${training.weight_decay}, betas: [${training.betas.join(", ")}], eps: ${training.eps}}
  learning_rate: ${training.learning_rate}
  schedule: constant
  max_grad_norm: ${training.max_grad_norm}
  precision: ${precision}
memory: {ram: ${ram}${vram === undefined ? "" : `, vram: ${vram}`}}
output: runs/${parity.name}
`,
    { file: "case.yaml" },
  );
  if (!recipe) throw new Error(JSON.stringify(diagnostics, null, 2));
  const checkpoint = await openCheckpoint(join(directory, "model"));
  const digests = await digestCheckpoint(checkpoint, { cacheDir: null });
  const { config } = readLlamaConfig(checkpoint.config);
  const numerics = numericsFor(precision, sequence_length, config!.vocabSize);
  return {
    recipe,
    hardware: hardware(threads),
    model: describeLlama({
      config: config!,
      rawConfig: checkpoint.config,
      sequenceLength: sequence_length,
      numerics,
      lora: adapter.layers,
      files: checkpoint.files.map((one) => ({ ...one, digest: digests.files.get(one.id)! })),
      tensors: checkpoint.tensors,
      digests: digests.tensors,
    }),
    numerics,
    adapter: { ...adapter.config, base_model: parity.name, from: adapter.digest },
    dataset: {
      digest: `sha256:${"0".repeat(64)}`,
      train_rows: parity.dataset.rows,
      validation_rows: 0,
      supervised_tokens: parity.dataset.supervised.reduce((a, b) => a + b, 0),
      attended_pairs: (parity.dataset.rows * sequence_length * (sequence_length + 1)) / 2,
    },
    tokenizer: null,
    lema_version: "0.0.0",
    op_table: opTableHash(),
    executable: true,
  };
}

export interface GenerationOptions extends Pick<MachineOptions, "ram" | "vram" | "threads"> {
  readonly adapter: boolean;
  /** Positions that the cache has room for. */
  readonly capacity: number;
}

/** The same for a generation, with the case's adapter or without. */
export async function caseGenerationInputs(
  parity: ParityCase,
  { adapter: adapted, capacity, ram = 2 ** 34, vram, threads = 2 }: GenerationOptions,
): Promise<GenerationInputs> {
  const { directory, adapter } = parity;
  const checkpoint = await openCheckpoint(join(directory, "model"));
  const digests = await digestCheckpoint(checkpoint, { cacheDir: null });
  const { config } = readLlamaConfig(checkpoint.config);
  const numerics = numericsFor("f32", capacity, config!.vocabSize);
  const none = uniformLora(config!.layers, { rank: 1, alpha: 1, rslora: false, targets: [] });
  const lora = adapted ? adapter : none;
  return {
    recipe: {
      model: join(directory, "model"),
      adapter: { from: adapted ? join(directory, "adapter") : null },
      sequence: { length: capacity },
      memory: {
        ram: bytes(ram),
        vram: vram === undefined ? null : bytes(vram),
        reserve: { ram: null, vram: null },
      },
      hardware: "test",
    },
    hardware: hardware(threads),
    model: describeLlamaGeneration({
      config: config!,
      rawConfig: checkpoint.config,
      capacity,
      numerics,
      lora: lora.layers,
      files: checkpoint.files.map((one) => ({ ...one, digest: digests.files.get(one.id)! })),
      tensors: checkpoint.tensors,
      digests: digests.tensors,
    }),
    numerics,
    adapter: { ...lora.config, base_model: parity.name, from: adapted ? adapter.digest : null },
    lema_version: "0.0.0",
    op_table: opTableHash(),
    executable: true,
  };
}

function hardware(threads: number) {
  const { profile } = parseHardware(
    `
name: test
compute:
  kind: cpu
  threads: ${threads}
  matrix_rate: {f32: 100 GFLOP/s, bf16: 200 GFLOP/s, f16: 100 GFLOP/s}
  memory_bandwidth: 10 GB/s
disk: {bandwidth: 1 GB/s, latency_ns: 100000, direct_io: true}
links: {h2d_bandwidth: 5 GB/s, d2h_bandwidth: 5 GB/s, pinned: false}
memory: {ram: 64 GiB, vram: 64 GiB}
reserve: {ram: 0 B, vram: 0 B}
`,
    { file: "test" },
  );
  return profile!;
}

function datasetOf({ batches, sequence_length }: CaseFile): PackedDataset {
  const rows = batches.flat();
  const all = (pick: (row: Row) => readonly number[]) =>
    Int32Array.from(rows.flatMap((row) => [...pick(row)]));
  return {
    sequenceLength: sequence_length,
    rows: rows.length,
    tokens: all((row) => row.tokens),
    labels: all((row) => row.labels),
    positions: all((row) => row.positions),
    segmentStart: all((row) => row.segment_start),
    supervised: Int32Array.from(rows, (row) => row.labels.filter((label) => label !== -100).length),
  };
}

async function readFloats(path: string): Promise<ReadonlyMap<string, Float32Array>> {
  const { tensors } = await readSafetensorsHeader(path);
  const file = readFileSync(path);
  return new Map(
    [...tensors.values()]
      .filter(({ dtype }) => dtype === "F32" || dtype === "F64")
      .map(({ name, dtype, offset, bytes }) => {
        const slice = new Uint8Array(file.subarray(offset, offset + bytes));
        const values =
          dtype === "F32" ? decodeFloats(slice, "f32") : Float32Array.from(new Float64Array(slice.buffer));
        return [name, values];
      }),
  );
}
