/**
 * PEFT adapters in and out: a directory with adapter_config.json and adapter_model.safetensors.
 *
 * What an adapter adapts is read off its tensors, not its `target_modules`, which may be names, paths or a regular
 * expression. A feature that lema would train differently is refused, never dropped.
 */
import { access, type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import type { Diagnostic } from "../schemas/diagnostic.ts";
import { digestCheckpoint } from "./digest.ts";
import { decodeFloats, type FloatDType } from "./float-codec.ts";
import { LLAMA_LINEARS, type LlamaLinear, storageDType } from "./llama.ts";
import type { LlamaConfig } from "./llama-config.ts";
import { type LoraSettings, loraParameters } from "./lora.ts";
import { readAdapterSettings } from "./peft-settings.ts";
import { refuse } from "./refuse.ts";
import {
  readExactly,
  readSafetensorsHeader,
  type SafetensorsHeader,
  type SafetensorsTensor,
  unreadable,
} from "./safetensors.ts";

export { ADAPTER_CONFIG_FILE } from "./peft-settings.ts";

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

const FACTOR_NAME = /^base_model\.model\.model\.layers\.\d+\.(?:self_attn|mlp)\.(\w+)\.lora_[AB]\.weight$/;

/** Reads an adapter for a model of shape `model`. Throws `adapter.*` and `weights.*` diagnostics. */
export async function readPeftAdapter(directory: string, model: LlamaConfig): Promise<PeftAdapter> {
  const { diagnostics, ...settings } = await readAdapterSettings(directory);
  const path = join(directory, ADAPTER_WEIGHTS_FILE);
  const header = await readAdapterHeader(path);
  const targets = readTargets(header, path);
  checkTensors(header, model, settings.rank, targets, path);
  const tensors = await readTensors(header, path);
  const digest = await digestAdapter(path, header);
  return { ...settings, targets, tensors, digest, diagnostics };
}

/** The header of an adapter's weight file. Throws `adapter.not-found` and `weights.*`. */
export async function readAdapterHeader(path: string): Promise<SafetensorsHeader> {
  await access(path).catch(() =>
    refuse("adapter.not-found", path, "does not exist", "lema reads safetensors only"),
  );
  return readSafetensorsHeader(path);
}

/** `sha256:…` of an adapter's weight file. */
export async function digestAdapter(path: string, { fileBytes }: SafetensorsHeader): Promise<string> {
  const file = { id: ADAPTER_WEIGHTS_FILE, path, bytes: fileBytes };
  const digests = await digestCheckpoint({ files: [file], tensors: new Map() }, { cacheDir: null });
  return digests.files.get(ADAPTER_WEIGHTS_FILE)!;
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
    for (const tensor of tensors.values()) values.set(tensor.name, await readFactor(file, tensor, path));
  } finally {
    await file.close();
  }
  return values;
}

/** The values of one factor. Throws `adapter.wrong-tensors` where one is not a finite number. */
export async function readFactor(
  file: FileHandle,
  { name, dtype, offset, bytes }: SafetensorsTensor,
  path: string,
): Promise<Float32Array> {
  const values = decodeFloats(
    await readExactly(file, offset, bytes, path),
    storageDType(dtype) as FloatDType,
  );
  if (!values.every(Number.isFinite)) {
    const hint = "its training diverged; start anew";
    refuse("adapter.wrong-tensors", path, `${name} holds NaN or infinity`, hint);
  }
  return values;
}
