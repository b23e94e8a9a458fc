import { readFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isPadding, layoutAligned, UNIT_ALIGNMENT } from "../../models/aligned-layout.ts";
import { type Checkpoint, openCheckpoint } from "../../models/checkpoint.ts";
import { digestCheckpoint } from "../../models/digest.ts";
import { checkLlamaTensors, llamaTensors, readLlamaConfig } from "../../models/llama.ts";
import { makeLlama } from "../../models/make-llama.ts";
import { type FileLayout, prepareModel } from "../../models/prepare.ts";
import { parseSafetensorsHeader } from "../../models/safetensors.ts";
import { codesOf, scratch } from "./helpers.ts";

const config = (checkpoint: Checkpoint) => readLlamaConfig(checkpoint.config).config!;

async function prepare(source: Checkpoint, layout: FileLayout): Promise<Checkpoint> {
  const output = join(await scratch(), "out");
  const options = { checkpoint: source, config: config(source), layout, output, cacheDirectory: null };
  await prepareModel({ ...options, onProgress: () => undefined });
  return openCheckpoint(output);
}

const digestsOf = async (checkpoint: Checkpoint) =>
  [...(await digestCheckpoint(checkpoint, { cacheDir: null })).tensors]
    .filter(([name]) => !isPadding(name))
    .sort();

describe("prepareModel", () => {
  it.each([false, true])("lays out and back; no tensor changes (tied: %s)", async (tiedEmbeddings) => {
    const directory = await scratch();
    await makeLlama({
      ...{ directory, hiddenSize: 40, intermediateSize: 44, layers: 3, heads: 4, vocabSize: 101, shards: 4 },
      ...{ dtype: "bf16", seed: 7, tiedEmbeddings },
    });
    const source = await openCheckpoint(directory);
    const aligned = await prepare(source, { type: "aligned" });
    const shards = await prepare(aligned, { type: "shards", maxShardBytes: 20_000 });
    expect(await digestsOf(aligned)).toEqual(await digestsOf(source));
    expect(await digestsOf(shards)).toEqual(await digestsOf(source));
    expect(checkLlamaTensors(aligned, config(source))).toEqual([]);
    expect([...shards.tensors.keys()].filter(isPadding)).toEqual([]);
    expect(shards.files.length).toBeGreaterThan(1);

    const order = [...aligned.tensors.values()].filter(({ name }) => !isPadding(name));
    const expected = Array.from({ length: 3 }, (_, layer) =>
      Object.values(llamaTensors(config(source), layer)).map(({ name }) => name),
    );
    expect(order.map(({ name }) => name)).toEqual([
      "model.embed_tokens.weight",
      ...expected.flat(),
      "model.norm.weight",
      ...(tiedEmbeddings ? [] : ["lm_head.weight"]),
    ]);
    const first = ["model.embed_tokens.weight", ...expected.map(([name]) => name!), "model.norm.weight"];
    for (const name of first) expect(aligned.tensors.get(name)!.offset % UNIT_ALIGNMENT, name).toBe(0);
    expect(aligned.files).toHaveLength(1);
    expect(aligned.files[0]!.bytes % UNIT_ALIGNMENT).toBe(0);
    for (const name of ["config.json", "tokenizer.json"])
      expect(await readFile(join(aligned.directory, name))).toEqual(await readFile(join(directory, name)));
  });

  it("refuses a place that is in use", async () => {
    const directory = await scratch();
    await makeLlama({
      ...{ directory, hiddenSize: 8, intermediateSize: 8, layers: 1, heads: 2, vocabSize: 20 },
      ...{ dtype: "f32", seed: 7 },
    });
    const checkpoint = await openCheckpoint(directory);
    const options = { checkpoint, config: config(checkpoint), layout: { type: "aligned" as const } };
    const again = () =>
      prepareModel({ ...options, output: directory, cacheDirectory: null, onProgress: () => undefined });
    expect(await codesOf(again)).toEqual(["output.exists"]);
  });

  it("notices that a tensor is not what was digested", async () => {
    const directory = await scratch();
    await makeLlama({
      ...{ directory, hiddenSize: 8, intermediateSize: 8, layers: 1, heads: 2, vocabSize: 20 },
      ...{ dtype: "f32", seed: 7 },
    });
    const checkpoint = await openCheckpoint(directory);
    // Another model's bytes are copied under this one's digests.
    const { tensors } = checkpoint;
    let seen = 0;
    const shifted = new Map([...tensors].map(([name, tensor]) => [name, { ...tensor }]));
    const changing = { ...checkpoint, tensors: shifted };
    const onProgress = (stage: string): void => {
      if (stage !== "digesting" || seen++ > 0) return;
      const norm = shifted.get("model.norm.weight")!;
      Object.assign(norm, { offset: shifted.get("model.embed_tokens.weight")!.offset });
    };
    const output = join(await scratch(), "out");
    const run = () =>
      prepareModel({
        ...{ checkpoint: changing, config: config(checkpoint), layout: { type: "aligned" } },
        ...{ output, cacheDirectory: null, onProgress },
      });
    expect(await codesOf(run)).toEqual(["weights.changed"]);
  });
});

describe("layoutAligned", () => {
  it("gives a valid header, aligned units and the least padding, for any sizes", () => {
    const spec = fc.record({ dtype: fc.constantFrom("F32", "BF16"), size: fc.nat(3000) });
    fc.assert(
      fc.property(fc.array(fc.array(spec, { minLength: 1, maxLength: 4 }), { maxLength: 5 }), (units) => {
        const named = units.map((unit, u) =>
          unit.map(({ dtype, size }, t) => ({
            name: `${u}.${t}`,
            dtype: dtype as "F32" | "BF16",
            shape: [size],
          })),
        );
        const { header, tensors, fileBytes } = layoutAligned(named);
        const read = parseSafetensorsHeader(header.subarray(8), fileBytes, "layout");
        expect(read.dataOffset % UNIT_ALIGNMENT).toBe(0);
        expect(fileBytes % UNIT_ALIGNMENT).toBe(0);
        for (const { name, offset, bytes } of tensors)
          expect(read.tensors.get(name)).toMatchObject({ offset, bytes });
        for (const [u, unit] of named.entries()) {
          const places = unit.map(({ name }) => read.tensors.get(name)!);
          expect(places[0]!.offset % UNIT_ALIGNMENT).toBe(0);
          for (const { offset } of places) expect(offset % 64).toBe(0);
          const next = named[u + 1]?.[0];
          const end = places.at(-1)!.offset + places.at(-1)!.bytes;
          if (next) expect(read.tensors.get(next.name)!.offset - end).toBeLessThan(UNIT_ALIGNMENT);
        }
      }),
    );
  });
});
