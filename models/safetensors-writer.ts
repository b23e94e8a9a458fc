/**
 * Writes safetensors files byte for byte as the reference implementation does: tensors by descending dtype, then by
 * name (UTF-8 order); compact JSON in that order, padded with spaces to a multiple of 8.
 *
 * The layout is known before any data exists, so the planner can place a checkpoint's bytes and native code can write
 * them straight from its arenas.
 */
import { open, rename, rm } from "node:fs/promises";
import { invariant } from "../schemas/diagnostic.ts";
import { alignUp } from "../schemas/units.ts";
import {
  LENGTH_BYTES,
  SAFETENSORS_DTYPES,
  type SafetensorsDType,
  type SafetensorsTensor,
} from "./safetensors.ts";

export interface TensorSpec {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
}

export interface SafetensorsLayout {
  /** Everything before the data: length field and padded JSON. */
  readonly header: Uint8Array;
  /** In file order, with absolute offsets. */
  readonly tensors: readonly SafetensorsTensor[];
  readonly fileBytes: number;
}

export interface TensorData extends TensorSpec {
  /** Its bytes in pieces of any size, little-endian and dense. */
  readonly data: Iterable<Uint8Array>;
}

/** As `TensorData`, where the pieces may still have to be read. */
export interface StreamedTensor extends TensorSpec {
  readonly data: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

const DTYPE_ORDER = Object.keys(SAFETENSORS_DTYPES);

/** Header and positions of a file that will hold `tensors`, given in any order. */
export function layoutSafetensors(
  tensors: readonly TensorSpec[],
  metadata: Readonly<Record<string, string>> = {},
): SafetensorsLayout {
  const placed: SafetensorsTensor[] = [];
  const entries: [string, unknown][] = Object.keys(metadata).length > 0 ? [["__metadata__", metadata]] : [];
  let end = 0;
  for (const { name, dtype, shape } of tensors.toSorted(inFileOrder)) {
    const bytes = shape.reduce((product, dim) => product * dim, SAFETENSORS_DTYPES[dtype]);
    invariant(Number.isSafeInteger(end + bytes), `tensor ${name} ends beyond 2^53`);
    entries.push([name, { dtype, shape, data_offsets: [end, end + bytes] }]);
    placed.push({ name, dtype, shape, offset: end, bytes });
    end += bytes;
  }
  invariant(new Set(entries.map(([name]) => name)).size === entries.length, "a tensor's name is used twice");
  const header = encodeHeader(entries);
  return {
    header,
    tensors: placed.map((tensor) => ({ ...tensor, offset: header.length + tensor.offset })),
    fileBytes: header.length + end,
  };
}

/** The bytes before the data of a file that holds `tensors`. */
export function safetensorsHeader(
  tensors: readonly TensorSpec[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  return layoutSafetensors(tensors, metadata).header;
}

/**
 * The bytes before a data part in which every tensor has its place already; `offset` counts from its start, which is at
 * a multiple of `alignment`.
 */
export function placedHeader(
  tensors: readonly (TensorSpec & { readonly offset: number })[],
  metadata: Readonly<Record<string, string>> = {},
  alignment = LENGTH_BYTES,
): Uint8Array {
  const entries: [string, unknown][] = Object.keys(metadata).length > 0 ? [["__metadata__", metadata]] : [];
  let end = 0;
  for (const { name, dtype, shape, offset } of tensors.toSorted((a, b) => a.offset - b.offset)) {
    invariant(offset === end, `tensor ${name} begins at ${offset} instead of ${end}`);
    end += shape.reduce((product, dim) => product * dim, SAFETENSORS_DTYPES[dtype]);
    entries.push([name, { dtype, shape, data_offsets: [offset, end] }]);
  }
  return encodeHeader(entries, alignment);
}

/**
 * Writes a file piece by piece; memory use is that of one piece. The file appears under its name only when it is
 * complete and on disk.
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly StreamedTensor[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<SafetensorsLayout> {
  const layout = layoutSafetensors(tensors, metadata);
  await writeLayout(path, layout, new Map(tensors.map((tensor) => [tensor.name, tensor.data])));
  return layout;
}

/** As `writeSafetensors`, where every tensor has its place already; `data` is by name. */
export async function writeLayout(
  path: string,
  layout: SafetensorsLayout,
  data: ReadonlyMap<string, StreamedTensor["data"]>,
): Promise<void> {
  const partial = `${path}.partial`;
  const file = await open(partial, "w");
  try {
    await file.writeFile(layout.header);
    for (const { name, bytes } of layout.tensors) {
      let written = 0;
      for await (const piece of data.get(name)!) {
        await file.writeFile(piece);
        written += piece.length;
      }
      invariant(written === bytes, `tensor ${name} has ${written} bytes instead of ${bytes}`);
    }
    await file.sync();
    await file.close();
    await rename(partial, path);
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(partial, { force: true });
    throw error;
  }
}

function inFileOrder(a: TensorSpec, b: TensorSpec): number {
  return (
    DTYPE_ORDER.indexOf(b.dtype) - DTYPE_ORDER.indexOf(a.dtype) ||
    Buffer.compare(Buffer.from(a.name), Buffer.from(b.name))
  );
}

/**
 * Entries one by one: an object literal would move keys that look like numbers to the front. The length is a multiple
 * of `alignment`, itself a multiple of 8.
 */
function encodeHeader(entries: readonly [string, unknown][], alignment = LENGTH_BYTES): Uint8Array {
  const members = entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  const json = Buffer.from(`{${members.join(",")}}`);
  const padded = alignUp(LENGTH_BYTES + json.length, alignment) - LENGTH_BYTES;
  const header = Buffer.alloc(LENGTH_BYTES + padded, " ");
  header.writeBigUInt64LE(BigInt(padded));
  json.copy(header, LENGTH_BYTES);
  return new Uint8Array(header.buffer, header.byteOffset, header.length);
}
