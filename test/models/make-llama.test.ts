import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { describe, expect, it } from "vitest";
import { openCheckpoint } from "../../models/checkpoint.ts";
import { digestCheckpoint } from "../../models/digest.ts";
import { decodeFloats, type FloatDType } from "../../models/float-codec.ts";
import { checkLlamaTensors, readLlamaConfig } from "../../models/llama.ts";
import { type MakeLlamaOptions, makeLlama } from "../../models/make-llama.ts";
import { codesOf, scratch } from "./helpers.ts";

const SMALL = {
  hiddenSize: 48,
  intermediateSize: 80,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  vocabSize: 300,
  dtype: "bf16",
  seed: 1,
} as const;

async function made(options: Partial<MakeLlamaOptions> = {}) {
  const directory = await scratch();
  const result = await makeLlama({ ...SMALL, directory, ...options });
  const checkpoint = await openCheckpoint(directory);
  return { directory, result, checkpoint, ...readLlamaConfig(checkpoint.config) };
}

async function tokenizer(directory: string): Promise<Tokenizer> {
  const read = async (name: string) => JSON.parse(await readFile(join(directory, name), "utf8"));
  return new Tokenizer(await read("tokenizer.json"), await read("tokenizer_config.json"));
}

describe("makeLlama", () => {
  it.each<Partial<MakeLlamaOptions>>([
    {},
    { dtype: "f32", tiedEmbeddings: true },
    { dtype: "f16", headDim: 6, ropeScaling: "llama3", shards: 3 },
    { vocabSize: 97, keyValueHeads: 4, ropeScaling: "linear", shards: 21 },
  ])("makes a valid model: %j", async (options) => {
    const { checkpoint, config, diagnostics, result } = await made(options);
    expect(diagnostics).toEqual([]);
    expect(checkpoint.diagnostics).toEqual([]);
    expect(checkLlamaTensors(checkpoint, config!)).toEqual([]);
    expect(checkpoint.files).toHaveLength(options.shards ?? 1);
    const bytes = [...checkpoint.tensors.values()].reduce((sum, tensor) => sum + tensor.bytes, 0);
    expect(result.bytes).toBe(bytes);
    expect(config).toMatchObject({ rope: { type: options.ropeScaling ?? "default" } });
  });

  it("gives the same bytes for the same seed, however they are sharded", async () => {
    const digests = async (options: Partial<MakeLlamaOptions>) =>
      new Map(
        [...(await digestCheckpoint((await made(options)).checkpoint, { cacheDir: null })).tensors].sort(),
      );
    const once = await digests({});
    expect(await digests({ shards: 4 })).toEqual(once);
    expect(await digests({ seed: 2 })).not.toEqual(once);
    expect(new Set(once.values()).size).toBe(once.size);
  });

  it.each<FloatDType>(["f32", "f16", "bf16"])("draws weights of deviation 0.02 in %s", async (dtype) => {
    const { directory, checkpoint } = await made({ dtype });
    const bytes = await readFile(join(directory, "model.safetensors"));
    const values = (name: string): Float32Array => {
      const { offset, bytes: length } = checkpoint.tensors.get(name)!;
      return decodeFloats(bytes.subarray(offset, offset + length), dtype);
    };
    const moments = (x: Float32Array): [number, number] => {
      const mean = x.reduce((a, b) => a + b) / x.length;
      return [mean, Math.sqrt(x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / x.length)];
    };
    const [mean, deviation] = moments(values("model.embed_tokens.weight"));
    expect(Math.abs(mean)).toBeLessThan(0.001);
    expect(Math.abs(deviation / 0.02 - 1)).toBeLessThan(0.03);
    expect(moments(values("model.norm.weight"))[0]).toBeCloseTo(1, 1);
  });

  it("refuses options that make no Llama", async () => {
    expect(await codesOf(() => made({ keyValueHeads: 3 }))).toEqual(["model.invalid-value"]);
    await expect(made({ shards: 100 })).rejects.toThrow("do not fill 100 shards");
  });

  it("comes with a tokenizer that gives every text back", async () => {
    const { directory } = await made();
    const encoder = await tokenizer(directory);
    const text = "Hello, wörld!\n\t \u{1f600} <x>";
    const { ids } = encoder.encode(text);
    expect(ids[0]).toBe(1);
    expect(ids.length).toBe(1 + Buffer.from(text).length);
    expect(encoder.decode(ids, { skip_special_tokens: true })).toBe(text);
    expect(encoder.encode("a</s>").ids).toEqual([1, expect.any(Number), 2]);
  });

  it("fits a small vocabulary: what has no token is <unk>", async () => {
    const { directory } = await made({ vocabSize: 97 });
    const encoder = await tokenizer(directory);
    const { ids } = encoder.encode("Az~é");
    expect(Math.max(...ids)).toBeLessThan(97);
    expect(ids.slice(-2)).toEqual([0, 0]);
  });
});
