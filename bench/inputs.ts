/** `Inputs` of a model without a dataset: benchmarks make their own rows. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openCheckpoint } from "../models/checkpoint.ts";
import { describeLlama } from "../models/describe-llama.ts";
import { digestCheckpoint } from "../models/digest.ts";
import { LLAMA_LINEARS, readLlamaConfig } from "../models/llama.ts";
import { uniformLora } from "../models/lora.ts";
import { type HardwareProfile, parseHardware } from "../schemas/hardware.ts";
import { type Inputs, numericsFor } from "../schemas/inputs.ts";
import { opTableHash } from "../schemas/op-table.ts";
import type { Recipe } from "../schemas/recipe.ts";

/** `name`: a shipped profile, or a path to one. */
export function loadHardware(name: string): HardwareProfile {
  const shipped = join(import.meta.dirname, `../recipes/hardware/${name}.yaml`);
  const file = name.endsWith(".yaml") ? name : shipped;
  const { profile, diagnostics } = parseHardware(readFileSync(file, "utf8"), { file });
  if (!profile) throw new Error(JSON.stringify(diagnostics));
  return profile;
}

/** `digestsIn`: a folder that keeps them for the next call; null: they are computed again. */
export async function readInputs(
  recipe: Recipe,
  hardware: HardwareProfile,
  digestsIn: string | null = null,
): Promise<Inputs> {
  if (recipe.adapter.from !== null) throw new Error("a benchmark starts a new adapter");
  const checkpoint = await openCheckpoint(recipe.model);
  const digests = await digestCheckpoint(checkpoint, { cacheDir: digestsIn });
  const { config, diagnostics } = readLlamaConfig(checkpoint.config);
  if (!config) throw new Error(JSON.stringify(diagnostics));
  const { rank, alpha, rslora } = recipe.adapter;
  const lora = uniformLora(config.layers, { rank, alpha, rslora, targets: LLAMA_LINEARS });
  const numerics = numericsFor(recipe.training.precision, recipe.sequence.length, config.vocabSize);
  const files = checkpoint.files.map((file) => ({ ...file, digest: digests.files.get(file.id)! }));
  const { tensors, config: rawConfig } = checkpoint;
  const sequenceLength = recipe.sequence.length;
  return {
    recipe,
    hardware,
    model: describeLlama({
      config,
      rawConfig,
      sequenceLength,
      numerics,
      lora: lora.layers,
      files,
      tensors,
      digests: digests.tensors,
    }),
    numerics,
    adapter: { ...lora.config, base_model: recipe.model, from: null },
    dataset: null,
    tokenizer: null,
    lema_version: "0.0.0",
    op_table: opTableHash(),
    executable: true,
  };
}
