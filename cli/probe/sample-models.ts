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
import type { SampleShape } from "./sample-shapes.ts";

/** One made-up model and how it is trained. */
export interface SampleModel {
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

/** How weights are stored and products computed. */
export type SampleNumbers = Pick<SampleModel, "storage" | "precision">;

const F32: SampleNumbers = { storage: "F32", precision: "f32" };
const BF16: SampleNumbers = { storage: "BF16", precision: "bf16" };
const F16: SampleNumbers = { storage: "F16", precision: "fp16" };

/** A cpu widens fp16: its products are f32. */
export const CPU_NUMBERS: readonly SampleNumbers[] = [F32, BF16];

/** Products of bf16 are computed from compute capability 8.0 on. */
export const deviceNumbers = (capability: number): readonly SampleNumbers[] =>
  capability >= 80 ? [F32, BF16, F16] : [F32, F16];

export interface SampleMachine {
  readonly hardware: HardwareProfile;
  readonly numbers: readonly SampleNumbers[];
  /** Bytes that a plan may take there; null: there is no such tier. */
  readonly vram: number | null;
}

/** A resident plan of one layer for each of the made-up models that fits. */
export function samplePlans(shapes: readonly SampleShape[], machine: SampleMachine): readonly Plan[] {
  return shapes.flatMap(({ batchSizes, ...shape }) =>
    batchSizes.flatMap((batchSize) =>
      machine.numbers
        .map((numbers) => samplePlan({ ...shape, ...numbers, batchSize }, machine))
        .filter(({ budgets }) => machine.vram === null || budgets.vram!.arena <= machine.vram),
    ),
  );
}

function samplePlan(model: SampleModel, { hardware, vram }: SampleMachine): Plan {
  const { plan, diagnostics } = compile(inputsOf(model, hardware, vram === null ? ["ram"] : ["ram", "vram"]));
  invariant(plan, `a sample model does not compile: ${diagnostics.map(({ summary }) => summary).join("; ")}`);
  return plan;
}

function inputsOf(
  model: SampleModel,
  hardware: HardwareProfile,
  tiers: readonly ("ram" | "vram")[],
): Parameters<typeof compile>[0] {
  const rawConfig = configOf(model);
  const { config } = readLlamaConfig(rawConfig);
  invariant(config, "a sample model has a config that is refused");
  const { recipe } = parseRecipe(recipeOf(model, tiers), { file: "probe" });
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

/** Whatever the machine has: a resident plan does not depend on how much more there is. */
function recipeOf(
  { precision, rank, sequenceLength, batchSize }: SampleModel,
  tiers: readonly ("ram" | "vram")[],
): string {
  const each = (amount: string): string => tiers.map((tier) => `${tier}: ${amount}`).join(", ");
  return `
lema: 1
model: probe
dataset: {path: none.jsonl, format: tokens}
sequence: {length: ${sequenceLength}}
adapter: {type: lora, rank: ${rank}, targets: all-linear}
training: {steps: 1, batch_size: ${batchSize}, micro_batch: ${batchSize}, learning_rate: 1e-4, precision: ${precision}}
memory: {${each("1024 GiB")}, reserve: {${each("0 B")}}}
output: none
`;
}
