/**
 * The token cache: one file for each tokenizing, named by its digest.
 *
 *     "LEMATOK2"  u32 header length  header (JSON)  offsets u32[]  lines u32[]
 *     for each sample: tokens i32[]  labels i32[]
 *     SHA-256
 *
 * Numbers are little-endian; the checksum is over everything before it. A file appears whole, by rename, or not at all;
 * one that is damaged is reported and computed again. It holds samples, not rows: another sequence length, packing or
 * seed uses the same tokens. A training reads its samples from here (`token-reader.ts`), so that their number costs
 * no memory.
 */
import { createHash, type Hash, randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { endianness } from "node:os";
import { join } from "node:path";
import { invariant } from "../schemas/diagnostic.ts";
import type { Samples } from "./samples.ts";
import { TokenReader } from "./token-reader.ts";

const MAGIC = "LEMATOK2";
const WORD = Int32Array.BYTES_PER_ELEMENT;
const CHECKSUM_BYTES = 32;
const CHUNK_BYTES = 1 << 20;
const TEMPORARY = ".tmp";
/** Nobody writes at a file for so long: who began a temporary one this old was killed. */
const ABANDONED_MILLISECONDS = 24 * 60 * 60 * 1000;

interface Header {
  readonly digest: string;
  readonly count: number;
  readonly tokens: number;
  readonly mergedBoundaries: number;
}

export type CacheLookup =
  | { readonly kind: "hit"; readonly samples: Samples }
  | { readonly kind: "miss" }
  /** Something is there and cannot be used. */
  | { readonly kind: "damaged"; readonly file: string; readonly reason: string };

/** The file of the samples with this digest. */
export function cacheFile(directory: string, digest: string): string {
  return join(directory, `${digest.replace("sha256:", "")}.samples`);
}

/** Looks for the samples with this digest; never throws. */
export async function readCache(directory: string, digest: string): Promise<CacheLookup> {
  const file = cacheFile(directory, digest);
  let handle: FileHandle;
  try {
    handle = await open(file, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { kind: "miss" };
    return { kind: "damaged", file, reason: (error as Error).message };
  }
  try {
    return { kind: "hit", samples: await openSamples(handle, file, digest) };
  } catch (error) {
    return { kind: "damaged", file, reason: (error as Error).message };
  } finally {
    await handle.close();
  }
}

/** Writes the samples beside the others; throws an error of the file system. */
export async function writeCache(directory: string, digest: string, samples: Samples): Promise<void> {
  invariant(endianness() === "LE", "the token cache is little-endian");
  await mkdir(directory, { recursive: true });
  await removeAbandoned(directory);
  const file = cacheFile(directory, digest);
  const temporary = `${file}.${randomUUID()}${TEMPORARY}`;
  try {
    const handle = await open(temporary, "wx");
    try {
      await writeSamples(handle, digest, samples);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function removeAbandoned(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.endsWith(TEMPORARY)) continue;
    const file = join(directory, name);
    const written = (await stat(file).catch(() => undefined))?.mtimeMs ?? Date.now();
    if (Date.now() - written > ABANDONED_MILLISECONDS) await rm(file, { force: true });
  }
}

async function writeSamples(handle: FileHandle, digest: string, samples: Samples): Promise<void> {
  const { count, offsets, lines, mergedBoundaries } = samples;
  const header: Header = { digest, count, tokens: offsets[count]!, mergedBoundaries };
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  const hash = createHash("sha256");
  const write = async (part: Buffer): Promise<void> => {
    hash.update(part);
    for (let at = 0; at < part.length; at += CHUNK_BYTES) {
      const chunk = part.subarray(at, at + CHUNK_BYTES);
      for (let done = 0; done < chunk.length; ) {
        done += (await handle.write(chunk, done, chunk.length - done)).bytesWritten;
      }
    }
  };
  for (const part of [Buffer.from(MAGIC), length, json, bytesOf(offsets), bytesOf(lines)]) await write(part);
  let pieces: Buffer[] = [];
  let pending = 0;
  for (let i = 0; i < count; i++) {
    const { tokens, labels } = samples.read(i);
    pieces.push(bytesOf(tokens), bytesOf(labels));
    pending += tokens.byteLength + labels.byteLength;
    if (pending < CHUNK_BYTES && i < count - 1) continue;
    await write(Buffer.concat(pieces));
    [pieces, pending] = [[], 0];
  }
  await handle.write(hash.digest());
}

/** Reads a file once to its end and believes its checksum; the tokens stay where they are. */
async function openSamples(handle: FileHandle, file: string, digest: string): Promise<Samples> {
  const size = (await handle.stat()).size;
  const hash = createHash("sha256");
  const read = (bytes: number): Promise<Buffer> => readInto(handle, Buffer.alloc(bytes), hash);
  if ((await read(MAGIC.length)).toString("latin1") !== MAGIC) throw new Error("it is not a token cache");
  const headerBytes = (await read(4)).readUInt32LE();
  if (headerBytes > size) throw new Error("its header is longer than the file");
  const header = JSON.parse((await read(headerBytes)).toString("utf8")) as Header;
  if (header.digest !== digest) throw new Error("it holds the tokens of another dataset");
  const start = MAGIC.length + 4 + headerBytes + WORD * (2 * header.count + 1);
  const tokenBytes = 2 * WORD * header.tokens;
  if (start + tokenBytes + CHECKSUM_BYTES !== size) throw new Error("its size is wrong");

  const offsets = new Uint32Array(header.count + 1);
  const lines = new Uint32Array(header.count);
  for (const array of [offsets, lines]) await readInto(handle, bytesOf(array), hash);
  const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, tokenBytes));
  for (let left = tokenBytes; left > 0; left -= chunk.length) {
    await readInto(handle, chunk.subarray(0, Math.min(chunk.length, left)), hash);
  }
  const expected = hash.digest();
  const { buffer: found } = await handle.read(Buffer.alloc(CHECKSUM_BYTES), 0, CHECKSUM_BYTES);
  if (!expected.equals(found)) throw new Error("its checksum is wrong");
  const { count, mergedBoundaries } = header;
  const reader = new TokenReader(file, start, offsets);
  return { count, offsets, lines, mergedBoundaries, read: (i) => reader.read(i) };
}

async function readInto(handle: FileHandle, target: Buffer, hash: Hash): Promise<Buffer> {
  for (let at = 0; at < target.length; ) {
    const { bytesRead } = await handle.read(target, at, Math.min(CHUNK_BYTES, target.length - at));
    if (bytesRead === 0) throw new Error("it is shorter than its header says");
    at += bytesRead;
  }
  hash.update(target);
  return target;
}

/** The memory of an array as bytes, not a copy. */
function bytesOf(array: Int32Array | Uint32Array): Buffer {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength);
}
