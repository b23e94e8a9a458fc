/**
 * The plans whose calls `lema probe` times: those of small made-up Llamas, compiled as any other model is, so that every
 * op is timed with the dtypes and the neighbours that it has in a real step.
 */

import { describeLlama } from "../../models/describe-llama.ts";
import type { JsonObject } from "../../models/field-reader.ts";
import { allLlamaTensors, LLAMA_LINEARS, readLlamaConfig } from "../../models/llama.ts";
import { uniformLora } from "../../models/lora.ts";
import type { SafetensorsDType } from "../../models/safetensors.ts";
import { layoutSafetensors } from "../../models/safetensors-writer.ts";
import { compile } from "../../planner/compile.ts";
import { invariant } from "../../schemas/diagnostic.ts";
import type { HardwareProfile } from "../../schemas/hardware.ts";
import { type Numerics, numericsFor } from "../../schemas/inputs.ts";
import { opTableHash } from "../../schemas/op-table.ts";
import type { Plan } from "../../schemas/plan.ts";
import { parseRecipe } from "../../schemas/recipe.ts";

/** One made-up model and how it is trained. */
interface SampleModel {
  readonly hidden: number;
  readonly inner: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly vocabulary: number;
  readonly storage: SafetensorsDType;
  readonly precision: Numerics["precision"];
  readonly rank: number;
  readonly sequenceLength: number;
  readonly batchSize: number;
}

export interface SampleShape extends Omit<SampleModel, "storage" | "precision" | "batchSize"> {
  /** Small ones are what tight budgets run: there a weight is packed for few rows. */
  readonly batchSizes: readonly number[];
}

/** From a tiny model to a layer of one of a billion parameters, short and long sequences, heads of 32, 64 and 128. */
export const SAMPLE_SHAPES: readonly SampleShape[] = [
  {
    hidden: 256,
    inner: 704,
    heads: 8,
    keyValueHeads: 4,
    vocabulary: 512,
    rank: 8,
    sequenceLength: 64,
    batchSizes: [1, 8],
  },
  {
    hidden: 512,
    inner: 1376,
    heads: 8,
    keyValueHeads: 8,
    vocabulary: 2048,
    rank: 8,
    sequenceLength: 128,
    batchSizes: [1, 4],
  },
  {
    hidden: 768,
    inner: 2048,
    heads: 6,
    keyValueHeads: 2,
    vocabulary: 8192,
    rank: 16,
    sequenceLength: 256,
    batchSizes: [1, 4],
  },
  {
    hidden: 1536,
    inner: 4096,
    heads: 24,
    keyValueHeads: 24,
    vocabulary: 16384,
    rank: 16,
    sequenceLength: 512,
    batchSizes: [1, 4],
  },
  {
    hidden: 2048,
    inner: 5632,
    heads: 16,
    keyValueHeads: 4,
    vocabulary: 32000,
    rank: 64,
    sequenceLength: 1024,
    batchSizes: [1],
  },
];
const NUMBERS: readonly Pick<SampleModel, "storage" | "precision">[] = [
  { storage: "F32", precision: "f32" },
  { storage: "BF16", precision: "bf16" },
];

/** A resident plan of one layer for each of the made-up models. */
export function samplePlans(shapes: readonly SampleShape[], hardware: HardwareProfile): readonly Plan[] {
  return shapes.flatMap(({ batchSizes, ...shape }) =>
    batchSizes.flatMap((batchSize) =>
      NUMBERS.map((numbers) => samplePlan({ ...shape, ...numbers, batchSize }, hardware)),
    ),
  );
}

function samplePlan(model: SampleModel, hardware: HardwareProfile): Plan {
  const { plan, diagnostics } = compile(inputsOf(model, hardware));
  invariant(plan, `a sample model does not compile: ${diagnostics.map(({ summary }) => summary).join("; ")}`);
  return plan;
}

function inputsOf(model: SampleModel, hardware: HardwareProfile): Parameters<typeof compile>[0] {
  const rawConfig = configOf(model);
  const { config } = readLlamaConfig(rawConfig);
  invariant(config, "a sample model has a config that is refused");
  const { recipe } = parseRecipe(recipeOf(model), { file: "probe" });
  invariant(recipe, "a sample recipe is refused");
  const tensors = allLlamaTensors(config).map((tensor) => ({ ...tensor, dtype: model.storage }));
  const layout = layoutSafetensors(tensors, {});
  const settings = { rank: model.rank, alpha: model.rank, rslora: false, targets: LLAMA_LINEARS };
  const lora = uniformLora(config.layers, settings);
  const numerics = numericsFor(model.precision, model.sequenceLength, config.vocabSize);
  return {
    recipe,
    hardware,
    numerics,
    model: describeLlama({
      config,
      rawConfig,
      sequenceLength: model.sequenceLength,
      numerics,
      lora: lora.layers,
      files: [{ id: "weights", path: "weights", bytes: layout.fileBytes, digest: null }],
      tensors: new Map(layout.tensors.map((tensor) => [tensor.name, { ...tensor, file: "weights" }])),
      digests: null,
    }),
    adapter: { ...lora.config, base_model: "probe", from: null },
    dataset: null,
    tokenizer: null,
    lema_version: "0",
    op_table: opTableHash(),
    executable: false,
  };
}

function configOf({
  hidden,
  inner,
  heads,
  keyValueHeads,
  vocabulary,
  sequenceLength,
}: SampleModel): JsonObject {
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_act: "silu",
    hidden_size: hidden,
    intermediate_size: inner,
    num_attention_heads: heads,
    num_key_value_heads: keyValueHeads,
    num_hidden_layers: 1,
    vocab_size: vocabulary,
    max_position_embeddings: sequenceLength,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    tie_word_embeddings: false,
  };
}

function recipeOf({ precision, rank, sequenceLength, batchSize }: SampleModel): string {
  return `
lema: 1
model: probe
dataset: {path: none.jsonl, format: tokens}
sequence: {length: ${sequenceLength}}
adapter: {type: lora, rank: ${rank}, targets: all-linear}
training: {steps: 1, batch_size: ${batchSize}, micro_batch: ${batchSize}, learning_rate: 1e-4, precision: ${precision}}
memory: {ram: 1024 GiB, reserve: {ram: 0 B}}
output: none
`;
}
