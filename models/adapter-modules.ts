/**
 * A PEFT adapter module by module: which weight of the model it changes, by which factors and how strongly. Ranks and
 * scalings may differ between modules (`rank_pattern`, `alpha_pattern`), and any subset of the linears may be adapted.
 *
 * Invariants: every tensor of the file is a factor of exactly one module, and its shape is the one that the model and
 * the module's rank imply. Only the header is read here.
 */
import { join } from "node:path";
import type { Diagnostic } from "../schemas/diagnostic.ts";
import { ADAPTER_WEIGHTS_FILE, digestAdapter, readAdapterHeader } from "./adapter-file.ts";
import {
  LLAMA_LINEARS,
  type LlamaLinear,
  llamaLinearShapes,
  llamaModulePath,
  storageDType,
} from "./llama.ts";
import type { LlamaConfig } from "./llama-config.ts";
import { type LoraConfig, loraScaling } from "./lora.ts";
import { type AdapterSettings, readAdapterSettings } from "./peft-settings.ts";
import { refuse } from "./refuse.ts";
import type { SafetensorsHeader, SafetensorsTensor } from "./safetensors.ts";

/** W becomes W + scaling · B·A. */
export interface LoraModule {
  readonly layer: number;
  readonly linear: LlamaLinear;
  /** Such as `model.layers.0.self_attn.q_proj`. */
  readonly path: string;
  /** Name of W [outputs, inputs] in the checkpoint. */
  readonly weight: string;
  readonly rank: number;
  readonly scaling: number;
  /** [rank, inputs] */
  readonly a: SafetensorsTensor;
  /** [outputs, rank] */
  readonly b: SafetensorsTensor;
}

export interface AdapterModules {
  /** The weight file. */
  readonly path: string;
  /** By name of the weight they change. */
  readonly modules: ReadonlyMap<string, LoraModule>;
  /** As adapter_config.json has them. */
  readonly settings: Omit<LoraConfig, "targets">;
  readonly baseModel: string | null;
  /** `sha256:…` of the weight file. */
  readonly digest: string;
  /** Warnings. */
  readonly diagnostics: readonly Diagnostic[];
}

const FACTOR = /^base_model\.model\.(model\.layers\.(\d+)\.((?:self_attn|mlp)\.(\w+)))\.lora_([AB])\.weight$/;

/** Reads the adapter in `directory` for a model. Throws `adapter.*` and `weights.*` diagnostics. */
export async function readAdapterModules(directory: string, model: LlamaConfig): Promise<AdapterModules> {
  const settings = await readAdapterSettings(directory);
  const path = join(directory, ADAPTER_WEIGHTS_FILE);
  const header = await readAdapterHeader(path);
  const modules = new Map<string, LoraModule>();
  for (const [module, { layer, linear, factors }] of pairFactors(header, model, path)) {
    const { rank, alpha, rslora } = settings.of(module);
    const [outputs, inputs] = llamaLinearShapes(model)[linear];
    const [a, b] = [factors.get("A"), factors.get("B")];
    if (a === undefined || b === undefined) {
      return refuse("adapter.wrong-tensors", path, `lacks lora_${a === undefined ? "A" : "B"} of ${module}`);
    }
    checkFactor(a, [rank, inputs], path);
    checkFactor(b, [outputs, rank], path);
    const weight = `${module}.weight`;
    const scaling = loraScaling({ rank, alpha, rslora });
    modules.set(weight, { layer, linear, path: module, weight, rank, scaling, a, b });
  }
  if (modules.size === 0) refuse("adapter.wrong-tensors", path, "holds no tensors");
  checkEverywhere(settings, modules, model, path);
  const { of: _, everywhere: __, baseModel, diagnostics, ...common } = settings;
  const digest = await digestAdapter(path, header);
  return { path, modules, settings: common, baseModel, digest, diagnostics };
}

interface Pair {
  readonly layer: number;
  readonly linear: LlamaLinear;
  readonly factors: Map<string, SafetensorsTensor>;
}

function pairFactors(header: SafetensorsHeader, model: LlamaConfig, path: string): Map<string, Pair> {
  const pairs = new Map<string, Pair>();
  for (const tensor of header.tensors.values()) {
    const [, module = "", layer, local, name, factor = ""] = FACTOR.exec(tensor.name) ?? [];
    const linear = LLAMA_LINEARS.find((known) => known === name && llamaModulePath(known) === local);
    if (linear === undefined) {
      const hint = "lema takes LoRA on the linear layers of the blocks";
      return refuse(
        "adapter.unsupported",
        path,
        `holds ${tensor.name}, which is no LoRA factor of a linear layer`,
        hint,
      );
    }
    if (Number(layer) >= model.layers || `${Number(layer)}` !== layer) {
      const what = `holds ${tensor.name}, and the model has only ${model.layers} layers`;
      return refuse("adapter.wrong-tensors", path, what, "the adapter was trained on another model");
    }
    const pair = pairs.get(module) ?? { layer: Number(layer), linear, factors: new Map() };
    pairs.set(module, pair);
    pair.factors.set(factor, tensor);
  }
  return pairs;
}

function checkFactor(
  { name, shape, dtype }: SafetensorsTensor,
  wanted: readonly number[],
  path: string,
): void {
  if (shape.join() !== wanted.join()) {
    const what = `${name} is [${shape.join(", ")}]; the model and the rank imply [${wanted.join(", ")}]`;
    refuse("adapter.wrong-tensors", path, what, "the adapter was trained on another model");
  }
  if (storageDType(dtype) === undefined) {
    refuse("adapter.wrong-tensors", path, `${name} is stored as ${dtype}`, "lema reads F32, F16 and BF16");
  }
}

/** An adapter that names `q_proj` and has it in some layers only was cut off. */
function checkEverywhere(
  { everywhere }: AdapterSettings,
  modules: ReadonlyMap<string, LoraModule>,
  { layers }: LlamaConfig,
  path: string,
): void {
  for (const linear of LLAMA_LINEARS.filter((known) => everywhere?.includes(known))) {
    for (let layer = 0; layer < layers; layer++) {
      const module = `model.layers.${layer}.${llamaModulePath(linear)}`;
      if (modules.has(`${module}.weight`)) continue;
      const hint = "the file is incomplete, or the adapter was trained on a model with fewer layers";
      refuse("adapter.wrong-tensors", path, `adapts ${linear}, and has no tensors for ${module}`, hint);
    }
  }
}
