/**
 * SHA-256 of every weight tensor and weight file, in one pass over the bytes, kept in a cache.
 *
 * A cache entry is named by the file's path and valid only for its size, modification time and inode; an entry that
 * cannot be read or does not fit is computed again. Digests are written `sha256:<hex>`.
 */
import { createHash } from "node:crypto";
import type { BigIntStats } from "node:fs";
import { type FileHandle, open, readFile, rename, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import * as z from "zod";
import { type Diagnostic, DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import type { Checkpoint, CheckpointFile } from "./checkpoint.ts";
import { makeDirectory } from "./make-directory.ts";
import { unreadable } from "./safetensors.ts";

export interface DigestOptions {
  /** Created when absent; `null` keeps nothing. */
  readonly cacheDir: string | null;
  /** Called as bytes are hashed, or found in the cache. */
  readonly onProgress?: (progress: { readonly bytes: number; readonly total: number }) => void;
}

export interface CheckpointDigests {
  /** File id → digest of the whole file. */
  readonly files: ReadonlyMap<string, string>;
  /** Tensor name → digest of its bytes. */
  readonly tensors: ReadonlyMap<string, string>;
  /** Warnings about the cache. */
  readonly diagnostics: readonly Diagnostic[];
}

/** A named byte range of a file. */
interface Range {
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
}

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const entrySchema = z.strictObject({
  version: z.literal(1),
  path: z.string(),
  bytes: z.string(),
  mtime_ns: z.string(),
  inode: z.string(),
  file: digest,
  tensors: z.record(z.string(), digest),
});
type Entry = z.infer<typeof entrySchema>;

const CHUNK_BYTES = 4 * 2 ** 20;

/** Digests of a checkpoint. Throws `weights.unreadable` and `weights.changed`. */
export async function digestCheckpoint(
  checkpoint: Pick<Checkpoint, "files" | "tensors">,
  { cacheDir, onProgress }: DigestOptions,
): Promise<CheckpointDigests> {
  const total = checkpoint.files.reduce((sum, { bytes }) => sum + bytes, 0);
  const files = new Map<string, string>();
  const tensors = new Map<string, string>();
  const diagnostics: Diagnostic[] = [];
  let done = 0;
  const advance = (bytes: number): void => {
    done += bytes;
    onProgress?.({ bytes: done, total });
  };
  for (const file of checkpoint.files) {
    const ranges = [...checkpoint.tensors.values()].filter((tensor) => tensor.file === file.id);
    const cached = cacheDir === null ? undefined : await readEntry(cacheDir, file.path, ranges);
    if (cached) advance(file.bytes);
    const entry = cached ?? (await computeEntry(file, ranges, advance));
    files.set(file.id, entry.file);
    for (const { name } of ranges) tensors.set(name, entry.tensors[name]!);
    if (cacheDir !== null && !cached) diagnostics.push(...(await writeEntry(cacheDir, entry)));
  }
  return { files, tensors, diagnostics };
}

/** Hashes a file from begin to end; `ranges` are sorted by offset and do not overlap. */
async function computeEntry(
  file: CheckpointFile,
  ranges: readonly Range[],
  advance: (bytes: number) => void,
): Promise<Entry> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file.path, "r");
    const before = await handle.stat({ bigint: true });
    const { whole, parts } = await hashRanges(handle, ranges, advance);
    const after = await handle.stat({ bigint: true });
    const identity = identify(file.path, after);
    if (before.mtimeNs !== after.mtimeNs || identity.bytes !== `${file.bytes}`) throw changed(file.path);
    return { version: 1, ...identity, file: whole, tensors: parts };
  } catch (error) {
    if (error instanceof DiagnosticError) throw error;
    throw unreadable(file.path, error);
  } finally {
    await handle?.close();
  }
}

async function hashRanges(handle: FileHandle, ranges: readonly Range[], advance: (bytes: number) => void) {
  const whole = createHash("sha256");
  const hashes = ranges.map(() => createHash("sha256"));
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  let position = 0;
  let first = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, position);
    if (bytesRead === 0) break;
    const end = position + bytesRead;
    whole.update(buffer.subarray(0, bytesRead));
    for (let index = first; index < ranges.length && ranges[index]!.offset < end; index++) {
      const { offset, bytes } = ranges[index]!;
      const from = Math.max(offset, position) - position;
      hashes[index]!.update(buffer.subarray(from, Math.min(offset + bytes, end) - position));
      if (offset + bytes <= end) first = index + 1;
    }
    position = end;
    advance(bytesRead);
  }
  const text = (hash: ReturnType<typeof createHash>): string => `sha256:${hash.digest("hex")}`;
  return {
    whole: text(whole),
    parts: Object.fromEntries(ranges.map(({ name }, index) => [name, text(hashes[index]!)])),
  };
}

/** What must be unchanged for a digest to be believed. */
function identify(path: string, stats: BigIntStats): Pick<Entry, "path" | "bytes" | "mtime_ns" | "inode"> {
  return { path: resolve(path), bytes: `${stats.size}`, mtime_ns: `${stats.mtimeNs}`, inode: `${stats.ino}` };
}

function entryPath(cacheDir: string, path: string): string {
  return join(cacheDir, "digests", `${createHash("sha256").update(resolve(path)).digest("hex")}.json`);
}

/** The entry of `path`, when it is whole and of today's file. */
async function readEntry(
  cacheDir: string,
  path: string,
  ranges: readonly Range[],
): Promise<Entry | undefined> {
  const text = await readFile(entryPath(cacheDir, path), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const { data: entry } = entrySchema.safeParse(parseOrUndefined(text));
  if (!entry || !ranges.every(({ name }) => Object.hasOwn(entry.tensors, name))) return undefined;
  const handle = await open(path, "r").catch((error) => {
    throw unreadable(path, error);
  });
  const now = identify(path, await handle.stat({ bigint: true }).finally(() => handle.close()));
  return Object.entries(now).every(([key, value]) => entry[key as keyof typeof now] === value)
    ? entry
    : undefined;
}

/** Written beside and renamed, so that a reader never sees half an entry. A cache that fails only costs time. */
async function writeEntry(cacheDir: string, entry: Entry): Promise<Diagnostic[]> {
  const target = entryPath(cacheDir, entry.path);
  const partial = `${target}.${process.pid}.partial`;
  try {
    await makeDirectory(join(cacheDir, "digests"));
    await writeFile(partial, JSON.stringify(entry));
    await rename(partial, target);
    return [];
  } catch (error) {
    const summary = `digests cannot be kept in ${cacheDir}: ${error instanceof Error ? error.message : error}`;
    const hint = "make the cache directory writable, or the weights are hashed again each time";
    return [diagnostic("weights.cache", { severity: "warning", summary, hint })];
  }
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function changed(path: string): DiagnosticError {
  return new DiagnosticError(
    diagnostic("weights.changed", {
      summary: `${path} changed while it was being read`,
      where: { file: path },
      hint: "wait until the download or copy has finished",
    }),
  );
}
