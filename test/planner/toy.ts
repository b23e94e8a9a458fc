/** Inputs of a small Llama without files: what the planner's tests compile. */

import { type DescribeOptions, describeLlama, describeLlamaGeneration } from "../../models/describe-llama.ts";
import { allLlamaTensors, LLAMA_LINEARS, type LlamaLinear, readLlamaConfig } from "../../models/llama.ts";
import { uniformLora } from "../../models/lora.ts";
import { layoutSafetensors } from "../../models/safetensors-writer.ts";
import { parseHardware } from "../../schemas/hardware.ts";
import {
  type GenerationInputs,
  type Inputs,
  type ModelDescription,
  type Numerics,
  numericsFor,
} from "../../schemas/inputs.ts";
import { opTableHash } from "../../schemas/op-table.ts";
import { parseRecipe } from "../../schemas/recipe.ts";

export interface ToyOptions {
  readonly layers?: number;
  readonly hidden?: number;
  readonly vocabulary?: number;
  readonly batch?: number;
  readonly microBatch?: number;
  readonly length?: number;
  readonly ram?: number;
  readonly vram?: number;
  readonly precision?: Numerics["precision"];
  readonly targets?: readonly LlamaLinear[];
  readonly tied?: boolean;
}

const HARDWARE = `
name: toy
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

export function toyInputs(options: ToyOptions = {}): Inputs {
  return makeInputs(options, (described, sequenceLength) => describeLlama({ ...described, sequenceLength }));
}

/** The same model for a generation; `length` is the context. */
export function toyGenerationInputs(options: ToyOptions = {}): GenerationInputs {
  const inputs = makeInputs(options, (described, capacity) =>
    describeLlamaGeneration({ ...described, capacity }),
  );
  const { model, sequence, memory, hardware } = inputs.recipe;
  return { ...inputs, recipe: { model, adapter: { from: null }, sequence, memory, hardware } };
}

function makeInputs(
  options: ToyOptions,
  of: (described: DescribeOptions, length: number) => ModelDescription,
): Inputs {
  const { layers = 6, hidden = 64, vocabulary = 256, batch = 4, length = 32, precision = "f32" } = options;
  const raw = {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_size: hidden,
    intermediate_size: 3 * hidden,
    num_hidden_layers: layers,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    vocab_size: vocabulary,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: options.tied ?? false,
  };
  const { config } = readLlamaConfig(raw);
  const file = layoutSafetensors(
    allLlamaTensors(config!).map((tensor) => ({ ...tensor, dtype: "BF16" as const })),
    { format: "pt" },
  );
  const targets = options.targets ?? LLAMA_LINEARS;
  const text = `
lema: 1
model: toy
dataset: {path: toy.jsonl, format: text}
sequence: {length: ${length}}
adapter: {type: lora, rank: 4, alpha: 8, targets: [${targets.join(", ")}]}
training: {steps: 10, batch_size: ${batch}, micro_batch: ${options.microBatch ?? "auto"}, learning_rate: 1e-3, precision: ${precision}}
memory: {ram: ${options.ram ?? 2 ** 34}${options.vram === undefined ? "" : `, vram: ${options.vram}`}}
output: runs/toy
`;
  const { recipe, diagnostics } = parseRecipe(text, { file: "toy.yaml" });
  if (!recipe) throw new Error(JSON.stringify(diagnostics));
  const { profile, diagnostics: problems } = parseHardware(HARDWARE, { file: "toy" });
  if (!profile) throw new Error(JSON.stringify(problems));
  const numerics = numericsFor(precision, length, vocabulary);
  const lora = uniformLora(config!.layers, { rank: 4, alpha: 8, rslora: false, targets });
  const digest = `sha256:${"0".repeat(64)}`;
  const described = {
    config: config!,
    rawConfig: raw,
    // A small vocabulary tile, so that the head is cut into several chunks.
    numerics: { ...numerics, vocabulary_tile: 64 },
    lora: lora.layers,
    files: [{ id: "model.safetensors", path: "model.safetensors", bytes: file.fileBytes, digest }],
    tensors: new Map(file.tensors.map((tensor) => [tensor.name, { ...tensor, file: "model.safetensors" }])),
    digests: new Map(file.tensors.map(({ name }) => [name, digest])),
  };
  const model = of(described, length);
  return {
    recipe,
    hardware: profile,
    model,
    numerics: { ...numerics, vocabulary_tile: 64 },
    adapter: { ...lora.config, base_model: "toy", from: null },
    dataset: {
      digest,
      train_rows: 40,
      validation_rows: 4,
      supervised_tokens: 1000,
      attended_pairs: (40 * length * (length + 1)) / 2,
    },
    tokenizer: null,
    lema_version: "0.0.0",
    op_table: opTableHash(),
    executable: true,
  };
}
