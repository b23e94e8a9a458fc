import { cp, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ADAPTER_METADATA, ADAPTER_WEIGHTS_FILE } from "../../models/adapter-file.ts";
import { readAdapterModules } from "../../models/adapter-modules.ts";
import { type Checkpoint, openCheckpoint } from "../../models/checkpoint.ts";
import { decodeFloats, type FloatDType } from "../../models/float-codec.ts";
import { readLlamaConfig } from "../../models/llama.ts";
import { mergedTensors } from "../../models/merge.ts";
import { readSafetensorsHeader } from "../../models/safetensors.ts";
import { type TensorData, writeSafetensors } from "../../models/safetensors-writer.ts";
import { writeShards } from "../../models/shards.ts";
import { codesOf, scratch } from "./helpers.ts";

const PARITY = "test/golden/parity";
/** Adapters of PEFT's and its own merge of them in float64, rounded to float32: test/parity/merge.py. */
const GOLDEN = "test/golden/merge";
const BASES = { patterns: "gqa", rslora_patterns: "gqa", layers: "tied" } as const;
const VARIANTS = Object.keys(BASES) as (keyof typeof BASES)[];

async function base(name: string) {
  const checkpoint = await openCheckpoint(join(PARITY, name, "model"));
  return { checkpoint, config: readLlamaConfig(checkpoint.config).config! };
}

async function merged(
  model: Awaited<ReturnType<typeof base>>,
  adapterDirectory: string,
  dtype: FloatDType | null = null,
): Promise<Map<string, Buffer>> {
  const adapter = await readAdapterModules(adapterDirectory, model.config);
  const result = new Map<string, Buffer>();
  for (const { name, data } of mergedTensors({ ...model, adapter }, { dtype })) {
    const pieces: Uint8Array[] = [];
    for await (const piece of data) pieces.push(piece);
    result.set(name, Buffer.concat(pieces));
  }
  return result;
}

async function tensorsOf(path: string): Promise<Map<string, Buffer>> {
  const file = await readFile(path);
  const { tensors } = await readSafetensorsHeader(path);
  return new Map(
    [...tensors.values()].map(({ name, offset, bytes }) => [name, file.subarray(offset, offset + bytes)]),
  );
}

/** A copy of PEFT's adapter `patterns`, with its tensors changed. */
async function damaged(change: (tensors: TensorData[]) => TensorData[]): Promise<string> {
  const directory = await scratch();
  await cp(join(GOLDEN, "patterns/adapter"), directory, { recursive: true });
  const path = join(directory, ADAPTER_WEIGHTS_FILE);
  const bytes = await tensorsOf(path);
  const { tensors } = await readSafetensorsHeader(path);
  const all = [...tensors.values()].map((tensor) => ({ ...tensor, data: [bytes.get(tensor.name)!] }));
  await writeSafetensors(path, change(all), ADAPTER_METADATA);
  return directory;
}

describe("mergedTensors", () => {
  it.each(VARIANTS)("is PEFT's merge_and_unload: %s", async (name) => {
    const model = await base(BASES[name]);
    const ours = await merged(model, join(GOLDEN, name, "adapter"));
    const theirs = await tensorsOf(join(GOLDEN, name, "merged.safetensors"));
    expect([...ours.keys()].sort()).toEqual([...theirs.keys()].sort());
    let changed = 0;
    for (const [tensor, bytes] of ours) {
      const expected = decodeFloats(theirs.get(tensor)!, "f32");
      const far = decodeFloats(bytes, "f32").filter(
        (value, i) => Math.abs(value - expected[i]!) > 2 ** -23 * Math.abs(expected[i]!),
      );
      expect(far, tensor).toHaveLength(0);
      if (!bytes.equals(await bytesOf(model.checkpoint, tensor))) changed++;
    }
    const { modules } = await readAdapterModules(join(GOLDEN, name, "adapter"), model.config);
    expect(changed).toBe(modules.size);
  });

  it("takes rank, alpha and scaling of each module from its own pattern", async () => {
    const { config } = await base("gqa");
    const { modules } = await readAdapterModules(join(GOLDEN, "patterns/adapter"), config);
    const of = (path: string) => {
      const { rank, scaling } = modules.get(`model.layers.${path}.weight`)!;
      return { rank, scaling };
    };
    expect(of("0.self_attn.q_proj")).toEqual({ rank: 2, scaling: 3 });
    expect(of("1.self_attn.q_proj")).toEqual({ rank: 3, scaling: 2 });
    expect(of("1.self_attn.v_proj")).toEqual({ rank: 2, scaling: 0.5 });
    expect(of("0.mlp.down_proj")).toEqual({ rank: 5, scaling: 9 / 5 });
    expect(of("1.mlp.down_proj")).toEqual({ rank: 5, scaling: 6 / 5 });
    expect(of("0.mlp.gate_proj")).toEqual({ rank: 2, scaling: 9 / 2 });
  });

  it("leaves weights without an adapter as their bytes stand, and narrows those that are to be narrower", async () => {
    const model = await base("bf16_shards");
    const adapter = join(PARITY, "bf16_shards/adapter");
    const norm = "model.norm.weight";
    expect((await merged(model, adapter)).get(norm)).toEqual(await bytesOf(model.checkpoint, norm));
    const wide = (await merged(model, adapter, "f32")).get(norm)!;
    expect(decodeFloats(wide, "f32")).toEqual(decodeFloats(await bytesOf(model.checkpoint, norm), "bf16"));
  });

  it("refuses a sum that the dtype cannot hold", async () => {
    const model = await base("gqa");
    const huge = await damaged((tensors) =>
      tensors.map((tensor) => {
        const values = new Float32Array(tensor.shape.reduce((a, b) => a * b)).fill(300);
        return { ...tensor, data: [new Uint8Array(values.buffer)] };
      }),
    );
    expect(await codesOf(() => merged(model, huge, "f16"))).toEqual(["weights.overflow"]);
    expect((await merged(model, huge, "bf16")).size).toBeGreaterThan(0);
  });

  it("refuses NaN in the base", async () => {
    const model = await base("gqa");
    const directory = await scratch();
    await cp(model.checkpoint.directory, directory, { recursive: true });
    const path = join(directory, "model.safetensors");
    const { tensors } = await readSafetensorsHeader(path);
    const bytes = await readFile(path);
    bytes.writeFloatLE(Number.NaN, tensors.get("model.layers.0.self_attn.q_proj.weight")!.offset);
    await writeFile(path, bytes);
    const broken = { ...model, checkpoint: await openCheckpoint(directory) };
    expect(await codesOf(() => merged(broken, join(PARITY, "gqa/adapter")))).toEqual(["weights.non-finite"]);
  });
});

describe("readAdapterModules", () => {
  it.each<[string, (tensors: TensorData[]) => TensorData[], string]>([
    ["no tensors", () => [], "adapter.wrong-tensors"],
    ["half a module", (tensors) => tensors.slice(1), "adapter.wrong-tensors"],
    [
      "a module that is missing in one layer",
      (tensors) => tensors.filter(({ name }) => !name.includes("layers.1.self_attn.v_proj")),
      "adapter.wrong-tensors",
    ],
    [
      "a layer too many",
      (tensors) => [
        ...tensors,
        ...tensors
          .slice(0, 2)
          .map((tensor) => ({ ...tensor, name: tensor.name.replace("layers.0", "layers.9") })),
      ],
      "adapter.wrong-tensors",
    ],
    [
      "a linear in the wrong half of the block",
      ([first, ...rest]) => [{ ...first!, name: first!.name.replace("mlp", "self_attn") }, ...rest],
      "adapter.unsupported",
    ],
    [
      "an adapted head",
      ([first, ...rest]) => [{ ...first!, name: "base_model.model.lm_head.lora_A.weight" }, ...rest],
      "adapter.unsupported",
    ],
    [
      "a rank that is not the pattern's",
      (tensors) => tensors.map((tensor) => ({ ...tensor, shape: tensor.shape.toReversed() })),
      "adapter.wrong-tensors",
    ],
    ["integers", ([first, ...rest]) => [{ ...first!, dtype: "I32" }, ...rest], "adapter.wrong-tensors"],
  ])("refuses %s", async (_, change, code) => {
    const { config } = await base("gqa");
    const directory = await damaged(change);
    expect(await codesOf(() => readAdapterModules(directory, config))).toEqual([code]);
  });

  it("refuses a pattern that only Python reads", async () => {
    const { config } = await base("gqa");
    const directory = await damaged((tensors) => tensors);
    const path = join(directory, "adapter_config.json");
    const settings = JSON.parse(await readFile(path, "utf8"));
    await writeFile(path, JSON.stringify({ ...settings, rank_pattern: { "(?P<part>q)_proj": 2 } }));
    expect(await codesOf(() => readAdapterModules(directory, config))).toEqual(["adapter.unsupported"]);
  });
});

describe("writeShards", () => {
  it("cuts where a file would grow too large; what it writes opens as a checkpoint", async () => {
    const directory = await scratch();
    await writeFile(join(directory, "config.json"), "{}");
    const tensors = [3, 3, 9, 1, 2].map(
      (size, i): TensorData => ({
        ...{ name: `t${i}`, dtype: "U8", shape: [size] },
        data: [new Uint8Array(size).fill(i)],
      }),
    );
    const { files, bytes } = await writeShards(directory, tensors, 6);
    expect(bytes).toBe(18);
    expect(files).toHaveLength(3);
    const { tensors: opened } = await openCheckpoint(directory);
    expect([...opened.values()].map(({ name, file }) => [name, files.indexOf(file)])).toEqual([
      ["t0", 0],
      ["t1", 0],
      ["t2", 1],
      ["t3", 2],
      ["t4", 2],
    ]);
    const single = await scratch();
    await writeShards(single, tensors, 18);
    expect(await readdir(single)).toEqual(["model.safetensors"]);
  });
});

async function bytesOf({ tensors, files }: Checkpoint, name: string): Promise<Buffer> {
  const { file, offset, bytes } = tensors.get(name)!;
  const content = await readFile(files.find(({ id }) => id === file)!.path);
  return content.subarray(offset, offset + bytes);
}
