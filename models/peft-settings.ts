/**
 * adapter_config.json of PEFT as settings. No field is dropped silently: one that lema would train or merge
 * differently is refused. Rank and scaling are those of a module, as `rank_pattern` and `alpha_pattern` give them.
 */
import { join } from "node:path";
import { type Diagnostic, DiagnosticError, exitCodeOf } from "../schemas/diagnostic.ts";
import { FieldReader } from "./field-reader.ts";
import type { LoraConfig, LoraPattern, LoraSettings } from "./lora.ts";
import { PEFT_DEFAULTS } from "./peft-config.ts";
import { readJsonObject } from "./read-json.ts";

export const ADAPTER_CONFIG_FILE = "adapter_config.json";

export interface AdapterSettings extends Omit<LoraConfig, "targets"> {
  /** What the adapter's own config says it was trained on. */
  readonly baseModel: string | null;
  /** Warnings. */
  readonly diagnostics: readonly Diagnostic[];
  /** Rank, alpha and kind of scaling of the module at `path`, such as `model.layers.0.self_attn.q_proj`. */
  readonly of: (path: string) => LoraSettings;
  /** The linears that the adapter must have in every layer; null where names alone do not tell. */
  readonly everywhere: readonly string[] | null;
}

/** Fields that may hold anything: where the adapter came from, how it began, or options of a feature that is off. */
const HARMLESS: ReadonlySet<string> = new Set([
  ...["auto_mapping", "inference_mode", "megatron_core", "peft_version", "qalora_group_size", "revision"],
  ...["runtime_config", "eva_config", "target_modules"],
]);

/** Initialisations that leave the base weights as they are. */
const PLAIN_INITS: readonly unknown[] = [true, false, "gaussian", "orthogonal", "eva"];

const SETTINGS = ["peft_type", "r", "lora_alpha", "use_rslora", "base_model_name_or_path"];
/** Which modules have tensors is read off the tensors, so these fields matter only where tensors are missed. */
const SELECTION = ["layers_to_transform", "layers_pattern", "exclude_modules"];
const PATTERNS = ["rank_pattern", "alpha_pattern"];

/** Throws `adapter.*` and `model.syntax`. */
export async function readAdapterSettings(directory: string): Promise<AdapterSettings> {
  const fields = await openConfig(directory);
  const common = readCommon(fields);
  const ranks = readPattern(fields, "rank_pattern");
  const alphas = readPattern(fields, "alpha_pattern");
  const { target_modules: targets } = fields.raw;
  const selective = SELECTION.some((name) => ![null, undefined, "[]"].includes(shown(fields.raw[name])));
  const everywhere = Array.isArray(targets) && !selective ? targets.filter(isWord) : null;
  const of = (path: string): LoraSettings => ({
    rank: ranks.of(path) ?? common.rank,
    alpha: alphas.of(path) ?? common.alpha,
    rslora: common.rslora,
  });
  const patterns = { rank_pattern: ranks.pattern, alpha_pattern: alphas.pattern };
  if (exitCodeOf(fields.diagnostics) !== 0) throw new DiagnosticError(fields.diagnostics);
  return { ...common, ...patterns, of, everywhere, diagnostics: fields.diagnostics };
}

async function openConfig(directory: string): Promise<FieldReader> {
  const file = join(directory, ADAPTER_CONFIG_FILE);
  const codes = { missing: "adapter.not-found", syntax: "model.syntax" } as const;
  return new FieldReader(await readJsonObject(file, codes), { file, invalid: "adapter.invalid-config" });
}

function readCommon(fields: FieldReader): LoraSettings & { readonly baseModel: string | null } {
  const { raw } = fields;
  if (raw.peft_type !== "LORA") {
    const hint = "lema knows LoRA";
    fields.problem("adapter.unsupported", "peft_type", `is ${JSON.stringify(raw.peft_type)}`, hint);
  }
  const settings = {
    rank: fields.count("r"),
    alpha: fields.positive("lora_alpha"),
    rslora: fields.flag("use_rslora", false),
    baseModel: typeof raw.base_model_name_or_path === "string" ? raw.base_model_name_or_path : null,
  };
  const read = [...SETTINGS, ...SELECTION, ...PATTERNS];
  for (const [name, value] of Object.entries(raw)) {
    if (read.includes(name) || HARMLESS.has(name) || value === null || value === false) continue;
    if (JSON.stringify(value) === JSON.stringify(JSON.parse(PEFT_DEFAULTS[name] ?? "{}"))) continue;
    if (name === "init_lora_weights" && PLAIN_INITS.includes(value)) continue;
    const text = JSON.stringify(value);
    if (name === "lora_dropout")
      fields.warn("adapter.dropout", name, `is ${text}; lema computes without dropout`);
    else if (Array.isArray(value) && value.length === 0) continue;
    else fields.problem("adapter.unsupported", name, `${text} is not supported`, "use PEFT for this adapter");
  }
  return settings;
}

/**
 * `{pattern: number}` → the number for a module's path: that of the first pattern that matches the whole path, or its
 * end from a dot on, as PEFT's `get_pattern_key` decides.
 */
function readPattern(
  fields: FieldReader,
  name: string,
): { readonly pattern: LoraPattern; readonly of: (path: string) => number | undefined } {
  const pattern = fields.object(name);
  const entries = Object.keys(pattern?.raw ?? {}).map((key) => {
    const value = name === "rank_pattern" ? pattern!.count(key) : pattern!.positive(key);
    return { key, value, matches: compile(key, pattern!) };
  });
  return {
    pattern: entries.map(({ key, value }) => [key, value] as const),
    of: (path) => entries.find(({ matches }) => matches.test(path))?.value,
  };
}

function compile(key: string, pattern: FieldReader): RegExp {
  try {
    return new RegExp(`^(.*\\.)?(${key})$`);
  } catch {
    pattern.problem("adapter.unsupported", key, "is a regular expression that only Python reads");
    return /$^/;
  }
}

function shown(value: unknown): string | null | undefined {
  return value === null || value === undefined ? value : JSON.stringify(value);
}

function isWord(value: unknown): value is string {
  return typeof value === "string" && /^\w+$/.test(value);
}
