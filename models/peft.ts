/**
 * PEFT adapters in and out: a directory with adapter_config.json and adapter_model.safetensors.
 *
 * What an adapter adapts is read off its tensors, not its `target_modules`, which may be names, paths or a regular
 * expression. A feature that lema would train differently is refused, never dropped.
 */
import { access, open } from "node:fs/promises";
import { join } from "node:path";
import { type Diagnostic, DiagnosticError, exitCodeOf } from "../schemas/diagnostic.ts";
import { digestCheckpoint } from "./digest.ts";
import { FieldReader } from "./field-reader.ts";
import { decodeFloats, type FloatDType } from "./float-codec.ts";
import { LLAMA_LINEARS, type LlamaLinear, storageDType } from "./llama.ts";
import type { LlamaConfig } from "./llama-config.ts";
import { type LoraSettings, loraParameters } from "./lora.ts";
import { PEFT_DEFAULTS } from "./peft-config.ts";
import { readJsonObject } from "./read-json.ts";
import { refuse } from "./refuse.ts";
import { readExactly, readSafetensorsHeader, type SafetensorsHeader, unreadable } from "./safetensors.ts";

export const ADAPTER_CONFIG_FILE = "adapter_config.json";
export const ADAPTER_WEIGHTS_FILE = "adapter_model.safetensors";
/** The `__metadata__` of every file that PEFT writes. */
export const ADAPTER_METADATA = { format: "pt" } as const;

export interface PeftAdapter extends LoraSettings {
  /** In the order of the block. */
  readonly targets: readonly LlamaLinear[];
  /** What the adapter's own config says it was trained on. */
  readonly baseModel: string | null;
  /** PEFT's tensor name → values in float32, row by row. */
  readonly tensors: ReadonlyMap<string, Float32Array>;
  /** `sha256:…` of adapter_model.safetensors. */
  readonly digest: string;
  /** Warnings. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Fields that may hold anything: where the adapter came from, how it began, or options of a feature that is off. */
const HARMLESS: ReadonlySet<string> = new Set([
  ...["auto_mapping", "inference_mode", "megatron_core", "peft_version", "qalora_group_size", "revision"],
  ...["runtime_config", "eva_config", "target_modules"],
]);

/** Initialisations that leave the base weights as they are. */
const PLAIN_INITS: readonly unknown[] = [true, false, "gaussian", "orthogonal", "eva"];

const FACTOR_NAME = /^base_model\.model\.model\.layers\.\d+\.(?:self_attn|mlp)\.(\w+)\.lora_[AB]\.weight$/;

/** Reads an adapter for a model of shape `model`. Throws `adapter.*` and `weights.*` diagnostics. */
export async function readPeftAdapter(directory: string, model: LlamaConfig): Promise<PeftAdapter> {
  const configPath = join(directory, ADAPTER_CONFIG_FILE);
  const codes = { missing: "adapter.not-found", syntax: "model.syntax" } as const;
  const fields = new FieldReader(await readJsonObject(configPath, codes), {
    file: configPath,
    invalid: "adapter.invalid-config",
  });
  const settings = readSettings(fields);
  if (exitCodeOf(fields.diagnostics) !== 0) throw new DiagnosticError(fields.diagnostics);

  const path = join(directory, ADAPTER_WEIGHTS_FILE);
  await access(path).catch(() =>
    refuse("adapter.not-found", path, "does not exist", "lema reads safetensors only"),
  );
  const header = await readSafetensorsHeader(path);
  const targets = readTargets(header, path);
  checkTensors(header, model, settings.rank, targets, path);
  const tensors = await readTensors(header, path);
  const file = { id: ADAPTER_WEIGHTS_FILE, path, bytes: header.fileBytes };
  const digests = await digestCheckpoint({ files: [file], tensors: new Map() }, { cacheDir: null });
  const digest = digests.files.get(ADAPTER_WEIGHTS_FILE)!;
  return { ...settings, targets, tensors, digest, diagnostics: fields.diagnostics };
}

function readSettings(fields: FieldReader): LoraSettings & { readonly baseModel: string | null } {
  const { raw } = fields;
  if (raw.peft_type !== "LORA") {
    fields.problem(
      "adapter.unsupported",
      "peft_type",
      `is ${JSON.stringify(raw.peft_type)}`,
      "lema trains LoRA",
    );
  }
  const settings = {
    rank: fields.count("r"),
    alpha: fields.positive("lora_alpha"),
    rslora: fields.flag("use_rslora", false),
    baseModel: typeof raw.base_model_name_or_path === "string" ? raw.base_model_name_or_path : null,
  };
  const read = ["peft_type", "r", "lora_alpha", "use_rslora", "base_model_name_or_path"];
  for (const [name, value] of Object.entries(raw)) {
    if (read.includes(name) || HARMLESS.has(name) || value === null || value === false) continue;
    if (JSON.stringify(value) === JSON.stringify(JSON.parse(PEFT_DEFAULTS[name] ?? "{}"))) continue;
    if (name === "init_lora_weights" && PLAIN_INITS.includes(value)) continue;
    const shown = JSON.stringify(value);
    if (name === "lora_dropout")
      fields.warn("adapter.dropout", name, `is ${shown}; lema trains on without dropout`);
    else if (Array.isArray(value) && value.length === 0) continue;
    else fields.problem("adapter.unsupported", name, `${shown} is not supported`, "train it on with PEFT");
  }
  return settings;
}

/** The linears that have tensors. */
function readTargets(header: SafetensorsHeader, path: string): LlamaLinear[] {
  const found = new Set<string>();
  for (const name of header.tensors.keys()) {
    const linear = FACTOR_NAME.exec(name)?.[1];
    if (linear === undefined || !(LLAMA_LINEARS as readonly string[]).includes(linear)) {
      const hint = "lema trains LoRA on the linear layers of the blocks";
      refuse(
        "adapter.unsupported",
        path,
        `holds ${name}, which is not a LoRA factor of a linear layer`,
        hint,
      );
    }
    found.add(linear);
  }
  if (found.size === 0) refuse("adapter.wrong-tensors", path, "holds no tensors");
  return LLAMA_LINEARS.filter((linear) => found.has(linear));
}

/** Exactly the tensors that rank, targets and model imply, in a dtype that lema reads. */
function checkTensors(
  { tensors }: SafetensorsHeader,
  model: LlamaConfig,
  rank: number,
  targets: readonly LlamaLinear[],
  path: string,
): void {
  const layers = Array.from({ length: model.layers }, (_, layer) =>
    loraParameters(model, layer, { rank, targets }),
  );
  const expected = new Map(layers.flat().map(({ name, shape }) => [name, shape]));
  for (const [name, shape] of expected) {
    const tensor = tensors.get(name);
    if (!tensor) {
      const hint = "lema adapts a linear in every layer or in none";
      refuse("adapter.wrong-tensors", path, `lacks ${name}`, hint);
    }
    if (tensor.shape.join() !== shape.join()) {
      const what = `${name} is [${tensor.shape.join(", ")}]; the model and rank ${rank} imply [${shape.join(", ")}]`;
      refuse("adapter.wrong-tensors", path, what, "the adapter was trained on another model");
    }
    if (storageDType(tensor.dtype) === undefined) {
      refuse(
        "adapter.wrong-tensors",
        path,
        `${name} is stored as ${tensor.dtype}`,
        "lema reads F32, F16 and BF16",
      );
    }
  }
  const surplus = [...tensors.keys()].find((name) => !expected.has(name));
  if (surplus !== undefined) {
    refuse("adapter.wrong-tensors", path, `holds ${surplus}, and the model has only ${model.layers} layers`);
  }
}

async function readTensors(
  { tensors }: SafetensorsHeader,
  path: string,
): Promise<ReadonlyMap<string, Float32Array>> {
  const values = new Map<string, Float32Array>();
  const file = await open(path, "r").catch((error) => {
    throw unreadable(path, error);
  });
  try {
    for (const { name, dtype, offset, bytes } of tensors.values()) {
      const decoded = decodeFloats(
        await readExactly(file, offset, bytes, path),
        storageDType(dtype) as FloatDType,
      );
      if (!decoded.every(Number.isFinite)) {
        refuse(
          "adapter.wrong-tensors",
          path,
          `${name} holds NaN or infinity`,
          "its training diverged; start anew",
        );
      }
      values.set(name, decoded);
    }
  } finally {
    await file.close();
  }
  return values;
}
