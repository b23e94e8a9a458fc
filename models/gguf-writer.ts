/**
 * GGUF version 3, the file format of llama.cpp: typed key-value pairs, a table of tensors, their data.
 *
 *     "GGUF" · version u32 · tensors u64 · pairs u64 · pairs · table · padding · data, each at a multiple of 32
 *
 * Everything is little-endian; a string is its length in bytes (u64) and UTF-8. Dimensions are listed from the one that
 * varies fastest, which is the reverse of a safetensors shape.
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import { open, rename, rm } from "node:fs/promises";
import { invariant } from "../schemas/diagnostic.ts";
import { alignUp } from "../schemas/units.ts";

export type GgufValue =
  | { readonly type: "u32"; readonly value: number }
  | { readonly type: "f32"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "i32s"; readonly value: readonly number[] }
  | { readonly type: "f32s"; readonly value: readonly number[] }
  | { readonly type: "strings"; readonly value: readonly string[] };

/** How a tensor's elements are stored; the numbers are ggml's. */
export const GGUF_TYPES = { f32: 0, f16: 1, q8_0: 8 } as const;
export type GgufType = keyof typeof GGUF_TYPES;

export interface GgufTensor {
  readonly name: string;
  readonly type: GgufType;
  /** Rows first, as in safetensors. */
  readonly shape: readonly number[];
  readonly data: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

const VERSION = 3;
const ALIGNMENT = 32;
/** Elements of a q8_0 block: a float16 scale and that many int8. */
export const Q8_BLOCK = 32;
const Q8_BLOCK_BYTES = 2 + Q8_BLOCK;

const VALUE_TYPES = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;

/** Bytes of a tensor's data. */
export function ggufBytes({ type, shape }: Pick<GgufTensor, "type" | "shape">): number {
  const elements = shape.reduce((product, dim) => product * dim, 1);
  if (type !== "q8_0") return elements * (type === "f32" ? 4 : 2);
  invariant(shape.at(-1)! % Q8_BLOCK === 0, `rows of ${shape.at(-1)} are no whole blocks`);
  return (elements / Q8_BLOCK) * Q8_BLOCK_BYTES;
}

/** Everything before the data, padded. */
export function ggufHeader(
  pairs: ReadonlyMap<string, GgufValue>,
  tensors: readonly Omit<GgufTensor, "data">[],
): Uint8Array {
  const pieces = [Buffer.from("GGUF"), u32(VERSION), u64(tensors.length), u64(pairs.size)];
  for (const [key, value] of pairs) pieces.push(text(key), ...encodeValue(value));
  let offset = 0;
  for (const tensor of tensors) {
    const { name, shape, type } = tensor;
    pieces.push(
      text(name),
      u32(shape.length),
      ...shape.toReversed().map(u64),
      u32(GGUF_TYPES[type]),
      u64(offset),
    );
    offset = alignUp(offset + ggufBytes(tensor), ALIGNMENT);
  }
  const header = Buffer.concat(pieces);
  return Buffer.concat([header, Buffer.alloc(alignUp(header.length, ALIGNMENT) - header.length)]);
}

/** Writes a file piece by piece; it appears under its name only when it is complete and on disk. Returns its size. */
export async function writeGguf(
  path: string,
  pairs: ReadonlyMap<string, GgufValue>,
  tensors: readonly GgufTensor[],
): Promise<number> {
  const partial = `${path}.partial`;
  const file = await open(partial, "w");
  try {
    const header = ggufHeader(pairs, tensors);
    await file.writeFile(header);
    let size = header.length;
    for (const tensor of tensors) {
      let written = 0;
      for await (const piece of tensor.data) {
        await file.writeFile(piece);
        written += piece.length;
      }
      const bytes = ggufBytes(tensor);
      invariant(written === bytes, `tensor ${tensor.name} has ${written} bytes instead of ${bytes}`);
      await file.writeFile(new Uint8Array(alignUp(bytes, ALIGNMENT) - bytes));
      size += alignUp(bytes, ALIGNMENT);
    }
    await file.sync();
    await file.close();
    await rename(partial, path);
    return size;
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(partial, { force: true });
    throw error;
  }
}

/**
 * Rows of whole blocks as q8_0: of each 32 values the scale d = max|x| / 127 as float16, and x / d rounded to int8.
 */
export function encodeQ8(
  values: Float32Array,
  encodeScale: (scales: Float32Array) => Uint8Array,
): Uint8Array {
  const blocks = values.length / Q8_BLOCK;
  invariant(Number.isInteger(blocks), "values are no whole blocks");
  const scales = new Float32Array(blocks);
  const bytes = new Uint8Array(blocks * Q8_BLOCK_BYTES);
  for (let block = 0; block < blocks; block++) {
    const first = block * Q8_BLOCK;
    let largest = 0;
    for (let i = first; i < first + Q8_BLOCK; i++) largest = Math.max(largest, Math.abs(values[i]!));
    const scale = Math.fround(largest / 127);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    scales[block] = scale;
    const at = block * Q8_BLOCK_BYTES + 2;
    for (let i = 0; i < Q8_BLOCK; i++) bytes[at + i] = roundAway(Math.fround(values[first + i]! * inverse));
  }
  const encoded = encodeScale(scales);
  for (let block = 0; block < blocks; block++)
    bytes.set(encoded.subarray(2 * block, 2 * block + 2), block * Q8_BLOCK_BYTES);
  return bytes;
}

/** To nearest, halves away from zero, as C's roundf. */
function roundAway(value: number): number {
  return Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
}

function encodeValue(value: GgufValue): Buffer[] {
  switch (value.type) {
    case "u32":
      return [u32(VALUE_TYPES.u32), u32(value.value)];
    case "f32":
      return [u32(VALUE_TYPES.f32), floats([value.value])];
    case "bool":
      return [u32(VALUE_TYPES.bool), Buffer.from([value.value ? 1 : 0])];
    case "string":
      return [u32(VALUE_TYPES.string), text(value.value)];
    case "i32s":
      return [
        ...array(VALUE_TYPES.i32, value.value.length),
        Buffer.from(Int32Array.from(value.value).buffer),
      ];
    case "f32s":
      return [...array(VALUE_TYPES.f32, value.value.length), floats(value.value)];
    case "strings":
      return [...array(VALUE_TYPES.string, value.value.length), ...value.value.map(text)];
  }
}

function array(type: number, length: number): Buffer[] {
  return [u32(VALUE_TYPES.array), u32(type), u64(length)];
}

function floats(values: readonly number[]): Buffer {
  return Buffer.from(Float32Array.from(values).buffer);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "utf8");
  return Buffer.concat([u64(bytes.length), bytes]);
}
