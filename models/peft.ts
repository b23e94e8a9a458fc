/**
 * A PEFT adapter to go on with: a directory with adapter_config.json and adapter_model.safetensors, its values in
 * float32.
 *
 * What an adapter adapts is read off its tensors, not its `target_modules`, which may be names, paths or a regular
 * expression. A feature that lema would train differently is refused, never dropped.
 */
import { open } from "node:fs/promises";
import type { Diagnostic } from "../schemas/diagnostic.ts";
import { readFactor } from "./adapter-file.ts";
import { type AdapterModules, readAdapterModules } from "./adapter-modules.ts";
import { LLAMA_LINEARS, type LlamaConfig } from "./llama.ts";
import type { LayerLora, LoraConfig } from "./lora.ts";
import { unreadable } from "./safetensors.ts";

export interface PeftAdapter {
  readonly config: LoraConfig;
  /** Of each layer of the model. */
  readonly layers: readonly LayerLora[];
  /** What the adapter's own config says it was trained on. */
  readonly baseModel: string | null;
  /** PEFT's tensor name → values in float32, row by row. */
  readonly tensors: ReadonlyMap<string, Float32Array>;
  /** `sha256:…` of adapter_model.safetensors. */
  readonly digest: string;
  /** Warnings. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Reads an adapter for a model of shape `model`. Throws `adapter.*` and `weights.*` diagnostics. */
export async function readPeftAdapter(directory: string, model: LlamaConfig): Promise<PeftAdapter> {
  const adapter = await readAdapterModules(directory, model);
  const { settings, baseModel, digest, diagnostics } = adapter;
  const layers = layersOf(adapter, model);
  const config = { ...settings, targets: targetsOf(adapter, layers) };
  return { config, layers, baseModel, tensors: await readTensors(adapter), digest, diagnostics };
}

function layersOf({ modules }: AdapterModules, model: LlamaConfig): readonly LayerLora[] {
  const all = [...modules.values()];
  return Array.from({ length: model.layers }, (_, layer): LayerLora => {
    const own = new Map(all.filter((module) => module.layer === layer).map((one) => [one.linear, one]));
    return new Map(
      LLAMA_LINEARS.flatMap((linear) => {
        const module = own.get(linear);
        return module === undefined
          ? []
          : [[linear, { rank: module.rank, scaling: module.scaling }] as const];
      }),
    );
  });
}

/** The name of each linear that all layers adapt, and the paths of all other modules. */
function targetsOf({ modules }: AdapterModules, layers: readonly LayerLora[]): readonly string[] {
  const everywhere = LLAMA_LINEARS.filter((linear) => layers.every((layer) => layer.has(linear)));
  const others = [...modules.values()].filter(({ linear }) => !everywhere.includes(linear));
  return [...everywhere, ...others.map(({ path }) => path)];
}

async function readTensors({ path, modules }: AdapterModules): Promise<ReadonlyMap<string, Float32Array>> {
  const values = new Map<string, Float32Array>();
  const file = await open(path, "r").catch((error) => {
    throw unreadable(path, error);
  });
  try {
    for (const { a, b } of modules.values()) {
      for (const tensor of [a, b]) values.set(tensor.name, await readFactor(file, tensor, path));
    }
  } finally {
    await file.close();
  }
  return values;
}
