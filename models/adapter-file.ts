/** The weight file of a PEFT adapter: its header, its digest, and the values of its factors. */
import { access, type FileHandle } from "node:fs/promises";
import { digestCheckpoint } from "./digest.ts";
import { decodeFloats, type FloatDType } from "./float-codec.ts";
import { storageDType } from "./llama.ts";
import { refuse } from "./refuse.ts";
import {
  readExactly,
  readSafetensorsHeader,
  type SafetensorsHeader,
  type SafetensorsTensor,
} from "./safetensors.ts";

export const ADAPTER_WEIGHTS_FILE = "adapter_model.safetensors";
/** The `__metadata__` of every file that PEFT writes. */
export const ADAPTER_METADATA = { format: "pt" } as const;

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
