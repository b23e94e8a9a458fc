import { createHash } from "node:crypto";
import { appendFile, readdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openCheckpoint } from "../../models/checkpoint.ts";
import { type CheckpointDigests, digestCheckpoint } from "../../models/digest.ts";
import { writeSafetensors } from "../../models/safetensors-writer.ts";
import { codesOf, scratch } from "./helpers.ts";

const sha256 = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
/** Longer than a chunk of the reader, so that a tensor is hashed in pieces. */
const LARGE = 5 * 2 ** 20 + 13;

async function model(): Promise<{ directory: string; cacheDir: string; path: string }> {
  const directory = await scratch();
  await writeFile(join(directory, "config.json"), "{}");
  const path = join(directory, "model.safetensors");
  const bytes = (length: number, factor: number) => Uint8Array.from({ length }, (_, i) => (i * factor) % 251);
  await writeSafetensors(path, [
    { name: "small", dtype: "U8", shape: [3], data: [bytes(3, 7)] },
    { name: "large", dtype: "U8", shape: [LARGE], data: [bytes(LARGE, 13)] },
    { name: "empty", dtype: "U8", shape: [0], data: [] },
    { name: "zlast", dtype: "U8", shape: [9], data: [bytes(9, 3)] },
  ]);
  return { directory, cacheDir: join(directory, "cache"), path };
}

/** The digests, and how many bytes were read for them in one go: a cache hit advances once. */
async function digest(
  directory: string,
  cacheDir: string | null,
): Promise<CheckpointDigests & { steps: number }> {
  let steps = 0;
  const digests = await digestCheckpoint(await openCheckpoint(directory), {
    cacheDir,
    onProgress: () => steps++,
  });
  return { ...digests, steps };
}

describe("digestCheckpoint", () => {
  it("is SHA-256 of every tensor and file", async () => {
    const { directory, path } = await model();
    const { files, tensors } = await digest(directory, null);
    const whole = await readFile(path);
    expect(files.get("model.safetensors")).toBe(sha256(whole));
    for (const { name, offset, bytes } of (await openCheckpoint(directory)).tensors.values()) {
      expect(tensors.get(name)).toBe(sha256(whole.subarray(offset, offset + bytes)));
    }
    expect(tensors.size).toBe(4);
  });

  it("reports progress up to the total", async () => {
    const { directory } = await model();
    const seen: number[] = [];
    const checkpoint = await openCheckpoint(directory);
    const total = checkpoint.files[0]!.bytes;
    await digestCheckpoint(checkpoint, { cacheDir: null, onProgress: (p) => seen.push(p.bytes / p.total) });
    expect(seen.length).toBe(Math.ceil(total / (4 * 2 ** 20)));
    expect(seen.at(-1)).toBe(1);
  });

  it("takes the second time from the cache", async () => {
    const { directory, cacheDir } = await model();
    const first = await digest(directory, cacheDir);
    const second = await digest(directory, cacheDir);
    expect([first.steps, second.steps]).toEqual([2, 1]);
    expect(second.tensors).toEqual(first.tensors);
    expect(second.files).toEqual(first.files);
  });

  it("computes again when the file was touched or replaced", async () => {
    const { directory, cacheDir, path } = await model();
    await digest(directory, cacheDir);
    const { atime } = await stat(path);
    await utimes(path, atime, new Date(0));
    expect((await digest(directory, cacheDir)).steps).toBe(2);
    const copy = await readFile(path);
    copy[copy.length - 1]! ^= 1;
    await writeFile(path, copy);
    expect((await digest(directory, cacheDir)).files.get("model.safetensors")).toBe(sha256(copy));
  });

  it.each(["", "{", "null", '{"version":1}', "truncated"])(
    "computes again when the entry is %j",
    async (text) => {
      const { directory, cacheDir } = await model();
      const first = await digest(directory, cacheDir);
      const [name] = await readdir(join(cacheDir, "digests"));
      const entry = join(cacheDir, "digests", name!);
      const whole = await readFile(entry, "utf8");
      await writeFile(entry, text === "truncated" ? whole.slice(0, -9) : text);
      const second = await digest(directory, cacheDir);
      expect(second.steps).toBe(2);
      expect(second.tensors).toEqual(first.tensors);
      expect(await readFile(entry, "utf8")).toBe(whole);
    },
  );

  it("warns when the cache cannot be written, and goes on", async () => {
    const { directory, path } = await model();
    const { diagnostics, files } = await digest(directory, join(path, "not-a-directory"));
    expect(diagnostics).toMatchObject([{ code: "weights.cache", severity: "warning" }]);
    expect(files.size).toBe(1);
  });

  it("refuses a file that changes meanwhile, or is gone", async () => {
    const { directory, path } = await model();
    const checkpoint = await openCheckpoint(directory);
    await appendFile(path, "x");
    expect(await codesOf(() => digestCheckpoint(checkpoint, { cacheDir: null }))).toEqual([
      "weights.changed",
    ]);
    const gone = { files: [{ id: "a", path: join(directory, "gone"), bytes: 1 }], tensors: new Map() };
    expect(await codesOf(() => digestCheckpoint(gone, { cacheDir: null }))).toEqual(["weights.unreadable"]);
  });
});
