/**
 * adapter_config.json, byte for byte as PEFT 0.21.2 writes it for LoRA on a causal language model: every field of
 * LoraConfig, sorted, in the notation of Python's json.dumps(indent=2, sort_keys=True). The one freedom PEFT leaves,
 * the order of `target_modules` (a Python set), is alphabetical here.
 */
import type { LoraPattern, LoraSettings } from "./lora.ts";

export const PEFT_VERSION = "0.21.2";

export interface PeftConfig extends LoraSettings {
  readonly targets: readonly string[];
  readonly rankPattern: LoraPattern;
  readonly alphaPattern: LoraPattern;
  /** Directory or Hub id of the base model. */
  readonly baseModel: string | null;
}

/** Fields that lema never sets, as JSON text; reading an adapter, any other value of them is unsupported. */
export const PEFT_DEFAULTS: Readonly<Record<string, string>> = {
  alora_invocation_tokens: "null",
  alpha_pattern: "{}",
  arrow_config: "null",
  auto_mapping: "null",
  bias: '"none"',
  corda_config: "null",
  ensure_weight_tying: "false",
  eva_config: "null",
  exclude_modules: "null",
  fan_in_fan_out: "false",
  inference_mode: "true",
  init_lora_weights: "true",
  kasa_config: "null",
  layer_replication: "null",
  layers_pattern: "null",
  layers_to_transform: "null",
  loftq_config: "{}",
  lora_bias: "false",
  lora_dropout: "0.0",
  lora_ga_config: "null",
  megatron_config: "null",
  megatron_core: '"megatron.core"',
  modules_to_save: "null",
  monteclora_config: "null",
  peft_type: '"LORA"',
  peft_version: `"${PEFT_VERSION}"`,
  qalora_group_size: "16",
  rank_pattern: "{}",
  revision: "null",
  target_parameters: "null",
  task_type: '"CAUSAL_LM"',
  trainable_token_indices: "null",
  use_bdlora: "null",
  use_dora: "false",
  use_qalora: "false",
  velora_config: "null",
};

/** The file's text. */
export function peftConfigText(config: PeftConfig): string {
  const { rank, alpha, rslora, targets, baseModel } = config;
  const modules = targets.toSorted().map((target) => `    ${pythonString(target)}`);
  const fields: Readonly<Record<string, string>> = {
    ...PEFT_DEFAULTS,
    alpha_pattern: patternText(config.alphaPattern),
    base_model_name_or_path: baseModel === null ? "null" : pythonString(baseModel),
    lora_alpha: `${alpha}`,
    r: `${rank}`,
    rank_pattern: patternText(config.rankPattern),
    target_modules: `[\n${modules.join(",\n")}\n  ]`,
    use_rslora: `${rslora}`,
  };
  const lines = Object.keys(fields)
    .sort()
    .map((key) => `  "${key}": ${fields[key]}`);
  return `{\n${lines.join(",\n")}\n}`;
}

/** In the order in which they were read, since the first that matches counts; PEFT's own files are sorted. */
function patternText(pattern: LoraPattern): string {
  if (pattern.length === 0) return "{}";
  const lines = pattern.map(([path, value]) => `    ${pythonString(path)}: ${value}`);
  return `{\n${lines.join(",\n")}\n  }`;
}

/** Python escapes everything outside ASCII. */
function pythonString(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
