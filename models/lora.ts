/** LoRA on the Llama family: which parameters an adapter has, how they are scaled and how they begin. */
import { counterRandom } from "../schemas/counter-rng.ts";
import { type Diagnostic, diagnostic, invariant } from "../schemas/diagnostic.ts";
import type { ParameterDescription } from "../schemas/inputs.ts";
import { nearest } from "../schemas/suggest.ts";
import { LLAMA_LINEARS, type LlamaLinear, llamaLinearShapes, llamaModulePath } from "./llama.ts";
import type { LlamaConfig } from "./llama-config.ts";

export interface LoraSettings {
  readonly rank: number;
  readonly alpha: number;
  /** Rank-stabilized scaling. */
  readonly rslora: boolean;
}

/** One adapted linear: y += scaling · (x·Aᵀ)·Bᵀ with A [rank, inputs], B [outputs, rank] (Hu et al. 2021, eq. 3). */
export interface LoraShape {
  readonly rank: number;
  readonly scaling: number;
}

/** The adapted linears of one layer, in the order of the block. */
export type LayerLora = ReadonlyMap<LlamaLinear, LoraShape>;

/** Exceptions from one setting, as regular expressions over module paths; the first that matches counts. */
export type LoraPattern = readonly (readonly [pattern: string, value: number])[];

/** What adapter_config.json says of an adapter's shape. */
export interface LoraConfig extends LoraSettings {
  /** Names of linears, or paths of modules where a linear is adapted in some layers only. */
  readonly targets: readonly string[];
  readonly rank_pattern: LoraPattern;
  readonly alpha_pattern: LoraPattern;
}

/** One rank and one scaling on `targets` in each of `layers` layers. */
export function uniformLora(
  layers: number,
  settings: LoraSettings & { readonly targets: readonly LlamaLinear[] },
): { readonly config: LoraConfig; readonly layers: readonly LayerLora[] } {
  const { rank, alpha, rslora, targets } = settings;
  const shape = { rank, scaling: loraScaling(settings) };
  const layer: LayerLora = new Map(targets.map((target) => [target, shape]));
  return {
    config: { rank, alpha, rslora, targets, rank_pattern: [], alpha_pattern: [] },
    layers: Array.from({ length: layers }, () => layer),
  };
}

/**
 * The factor of B·A·x: alpha / rank (Hu et al. 2021, section 4.1), or alpha / √rank for rank-stabilized LoRA
 * (Kalajdzievski 2023, theorem 3.2).
 */
export function loraScaling({ rank, alpha, rslora }: LoraSettings): number {
  return alpha / (rslora ? Math.sqrt(rank) : rank);
}

/** The linears that a recipe's `adapter.targets` means, in the order of the block. */
export function resolveTargets(targets: "all-linear" | readonly string[]): {
  readonly targets: readonly LlamaLinear[];
  readonly diagnostics: readonly Diagnostic[];
} {
  if (targets === "all-linear") return { targets: LLAMA_LINEARS, diagnostics: [] };
  const known: readonly string[] = LLAMA_LINEARS;
  const diagnostics = targets
    .filter((target) => !known.includes(target))
    .map((target) => {
      const close = nearest(target, known);
      return diagnostic("adapter.bad-target", {
        summary: `\`${target}\` is not a linear layer of the model`,
        where: { file: "recipe", path: "adapter.targets" },
        hint:
          close === undefined ? `choose from ${known.join(", ")}, or all-linear` : `did you mean ${close}?`,
      });
    });
  return { targets: LLAMA_LINEARS.filter((linear) => targets.includes(linear)), diagnostics };
}

/** The LoRA factors of layer `layer`: A [rank, inputs] and B [outputs, rank] of each target. */
export function loraParameters(config: LlamaConfig, layer: number, lora: LayerLora): ParameterDescription[] {
  const shapes = llamaLinearShapes(config);
  return [...lora].flatMap(([target, { rank }]) => {
    const [outputs, inputs] = shapes[target];
    const a = { local: `${target}.lora_A`, name: peftName(layer, target, "A"), shape: [rank, inputs] };
    const b = { local: `${target}.lora_B`, name: peftName(layer, target, "B"), shape: [outputs, rank] };
    return [
      { ...a, init: "kaiming-uniform" as const },
      { ...b, init: "zeros" as const },
    ];
  });
}

/** The name of a factor in adapter_model.safetensors. */
export function peftName(layer: number, target: LlamaLinear, factor: "A" | "B"): string {
  return `base_model.model.model.layers.${layer}.${llamaModulePath(target)}.lora_${factor}.weight`;
}

/**
 * First values of a LoRA factor [rows, columns] as PEFT draws them: A from kaiming-uniform with a = √5, which is
 * U(−1/√columns, 1/√columns) (He et al. 2015 with the gain of torch.nn.init), B zero. The numbers come from a
 * counter-based generator keyed by seed and name, so they depend on neither machine nor order.
 */
export function initLora(
  seed: number,
  { name, shape, init }: Omit<ParameterDescription, "local">,
): Float32Array {
  const [rows, columns] = shape;
  invariant(rows !== undefined && columns !== undefined && shape.length === 2, `${name} is not a matrix`);
  if (init === "zeros") return new Float32Array(rows * columns);
  const random = counterRandom(seed, name);
  const bound = 1 / Math.sqrt(columns);
  return Float32Array.from({ length: rows * columns }, (_, index) => (2 * random.float(index) - 1) * bound);
}
