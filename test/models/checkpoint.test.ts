import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { INDEX_FILE, openCheckpoint, SINGLE_FILE } from "../../models/checkpoint.ts";
import { writeSafetensors } from "../../models/safetensors-writer.ts";
import { codesOf, scratch } from "./helpers.ts";

const FIRST = "model-00001-of-00002.safetensors";
const SECOND = "model-00002-of-00002.safetensors";

async function shard(directory: string, id: string, names: readonly string[]): Promise<void> {
  const tensors = names.map((name) => ({
    name,
    dtype: "U8" as const,
    shape: [2],
    data: [Uint8Array.of(1, 2)],
  }));
  await writeSafetensors(join(directory, id), tensors);
}

async function index(directory: string, map: unknown): Promise<void> {
  await writeFile(join(directory, INDEX_FILE), JSON.stringify({ metadata: {}, weight_map: map }));
}

/** A sharded model: a and b in the first file, c in the second. */
async function sharded(): Promise<string> {
  const directory = await scratch();
  await writeFile(join(directory, "config.json"), '{"model_type": "llama"}');
  await shard(directory, FIRST, ["b", "a"]);
  await shard(directory, SECOND, ["c"]);
  await index(directory, { a: FIRST, b: FIRST, c: SECOND });
  return directory;
}

describe("openCheckpoint", () => {
  it("opens shards with an index", async () => {
    const directory = await sharded();
    await writeFile(join(directory, "tokenizer.json"), "{}");
    const checkpoint = await openCheckpoint(directory);
    expect(checkpoint.config).toEqual({ model_type: "llama" });
    expect(checkpoint.files.map(({ id }) => id)).toEqual([FIRST, SECOND]);
    expect([...checkpoint.tensors.values()].map(({ name, file }) => [name, file])).toEqual([
      ["a", FIRST],
      ["b", FIRST],
      ["c", SECOND],
    ]);
    expect(checkpoint.tokenizerFiles).toEqual(["tokenizer.json"]);
    expect(checkpoint.diagnostics).toEqual([]);
  });

  it("prefers a single file to an index, as Transformers does", async () => {
    const directory = await sharded();
    await shard(directory, SINGLE_FILE, ["x"]);
    expect([...(await openCheckpoint(directory)).tensors.keys()]).toEqual(["x"]);
  });

  it("warns of a tensor that the index forgets, and keeps it", async () => {
    const directory = await sharded();
    await index(directory, { a: FIRST, c: SECOND });
    const { tensors, diagnostics } = await openCheckpoint(directory);
    expect(tensors.has("b")).toBe(true);
    expect(diagnostics).toMatchObject([{ code: "weights.bad-index", severity: "warning" }]);
  });

  it.each<[string, (directory: string) => Promise<unknown>, string]>([
    ["no directory", (d) => rm(d, { recursive: true }), "model.not-found"],
    ["no config.json", (d) => rm(join(d, "config.json")), "model.missing-file"],
    ["a config.json that is cut short", (d) => writeFile(join(d, "config.json"), '{"a": 1'), "model.syntax"],
    [
      "a config.json with a key twice",
      (d) => writeFile(join(d, "config.json"), '{"a": 1, "a": 2}'),
      "model.syntax",
    ],
    ["a config.json that is a list", (d) => writeFile(join(d, "config.json"), "[]"), "model.syntax"],
    ["no weights", (d) => rm(join(d, INDEX_FILE)), "weights.missing-file"],
    ["a missing shard", (d) => rm(join(d, SECOND)), "weights.missing-file"],
    [
      "an index that is a directory",
      async (d) => {
        await rm(join(d, INDEX_FILE));
        await mkdir(join(d, INDEX_FILE));
      },
      "weights.unreadable",
    ],
    ["a malformed index", (d) => writeFile(join(d, INDEX_FILE), "{"), "weights.bad-index"],
    ["an index without a map", (d) => index(d, null), "weights.bad-index"],
    ["an index that leaves the directory", (d) => index(d, { a: "../x.safetensors" }), "weights.bad-index"],
    [
      "a tensor that is not in its shard",
      (d) => index(d, { a: FIRST, b: FIRST, c: FIRST }),
      "weights.bad-index",
    ],
    [
      "a tensor that is nowhere",
      (d) => index(d, { a: FIRST, b: FIRST, c: SECOND, d: SECOND }),
      "weights.bad-index",
    ],
    ["a tensor in two shards", (d) => shard(d, SECOND, ["a", "c"]), "weights.duplicate-tensor"],
    ["a shard that is no safetensors file", (d) => writeFile(join(d, SECOND), "hello"), "weights.truncated"],
  ])("refuses %s", async (_, damage, code) => {
    const directory = await sharded();
    await damage(directory);
    expect(await codesOf(() => openCheckpoint(directory))).toEqual([code]);
  });

  it("refuses a file where a directory should be", async () => {
    const directory = await sharded();
    await rename(join(directory, SECOND), join(directory, "file"));
    expect(await codesOf(() => openCheckpoint(join(directory, "file")))).toEqual(["model.not-found"]);
  });
});
