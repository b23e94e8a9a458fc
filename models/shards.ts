/** How a model's weights are cut into files: names, sizes and the index, as Transformers writes and reads them. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { INDEX_FILE, SINGLE_FILE } from "./checkpoint.ts";
import { SAFETENSORS_DTYPES } from "./safetensors.ts";
import { type StreamedTensor, writeSafetensors } from "./safetensors-writer.ts";

/** `model.safetensors`, or `model-00001-of-00003.safetensors` and so on. */
export function shardNames(shards: number): string[] {
  if (shards === 1) return [SINGLE_FILE];
  const number = (value: number): string => `${value}`.padStart(5, "0");
  return Array.from({ length: shards }, (_, i) => `model-${number(i + 1)}-of-${number(shards)}.safetensors`);
}

/** Cuts tensors, in their order, into groups of at most `maxBytes`; a larger tensor is alone in its group. */
export function groupBySize<T extends Pick<StreamedTensor, "dtype" | "shape">>(
  tensors: readonly T[],
  maxBytes: number,
): T[][] {
  const groups: T[][] = [];
  let filled = Infinity;
  for (const tensor of tensors) {
    const bytes = bytesOf(tensor);
    if (filled + bytes > maxBytes) {
      groups.push([]);
      filled = 0;
    }
    groups.at(-1)!.push(tensor);
    filled += bytes;
  }
  return groups;
}

/** Bytes of a tensor in a file. */
export function bytesOf({ dtype, shape }: Pick<StreamedTensor, "dtype" | "shape">): number {
  return shape.reduce((product, dim) => product * dim, SAFETENSORS_DTYPES[dtype]);
}

/** The text of model.safetensors.index.json. */
export function indexText(totalBytes: number, places: readonly (readonly [string, string])[]): string {
  const index = { metadata: { total_size: totalBytes }, weight_map: Object.fromEntries(places.toSorted()) };
  return `${JSON.stringify(index, null, 2)}\n`;
}

/** Writes weights as one file, or as shards with an index; memory use is that of one piece of a tensor. */
export async function writeShards(
  directory: string,
  tensors: readonly StreamedTensor[],
  maxBytes: number,
): Promise<{ readonly files: readonly string[]; readonly bytes: number }> {
  const groups = groupBySize(tensors, maxBytes);
  const files = shardNames(groups.length);
  const places: [string, string][] = [];
  for (const [index, group] of groups.entries()) {
    const file = files[index]!;
    await writeSafetensors(join(directory, file), group, { format: "pt" });
    places.push(...group.map(({ name }): [string, string] => [name, file]));
  }
  const bytes = tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  if (files.length > 1) await writeFile(join(directory, INDEX_FILE), indexText(bytes, places));
  return { files, bytes };
}
