import { readFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ggufModel, interleavePairs } from "../../models/export-gguf.ts";
import type { JsonObject } from "../../models/field-reader.ts";
import { decodeFloats, encodeFloats } from "../../models/float-codec.ts";
import { ggufTokenizer, type TokenizerFacts } from "../../models/gguf-tokenizer.ts";
import { encodeQ8, type GgufTensor, ggufBytes, ggufHeader, writeGguf } from "../../models/gguf-writer.ts";
import type { LlamaConfig } from "../../models/llama.ts";
import { makeTokenizer } from "../../models/make-tokenizer.ts";
import type { PlainJson } from "../../models/strict-json.ts";
import { codesOf, scratch } from "./helpers.ts";

describe("writeGguf", () => {
  it("writes header, pairs, table and data to the byte", async () => {
    const path = join(await scratch(), "file.gguf");
    const tensors: GgufTensor[] = [
      { name: "a", type: "f16", shape: [2, 3], data: [new Uint8Array(12).fill(7)] },
      { name: "b", type: "f32", shape: [1], data: [new Uint8Array(4).fill(9)] },
    ];
    const size = await writeGguf(path, new Map([["k", { type: "u32", value: 5 }]]), tensors);
    const file = await readFile(path);
    const text = (value: string) => [value.length, 0, 0, 0, 0, 0, 0, 0, ...Buffer.from(value)];
    const u32 = (value: number) => [value, 0, 0, 0];
    const u64 = (value: number) => [...u32(value), ...u32(0)];
    const header = [
      ...[...Buffer.from("GGUF"), ...u32(3), ...u64(2), ...u64(1), ...text("k"), ...u32(4), ...u32(5)],
      ...[...text("a"), ...u32(2), ...u64(3), ...u64(2), ...u32(1), ...u64(0)],
      ...[...text("b"), ...u32(1), ...u64(1), ...u32(0), ...u64(32)],
    ];
    expect([...file.subarray(0, header.length)]).toEqual(header);
    const data = Math.ceil(header.length / 32) * 32;
    expect([...file.subarray(data, data + 13)]).toEqual([...Array(12).fill(7), 0]);
    expect([...file.subarray(data + 32, data + 37)]).toEqual([9, 9, 9, 9, 0]);
    expect([file.length, size]).toEqual([data + 64, data + 64]);
  });

  it("writes every type of value with its number", () => {
    const header = (value: Parameters<typeof ggufHeader>[0]) => Buffer.from(ggufHeader(value, []));
    const bytesOf = (value: Parameters<Map<string, never>["set"]>[1]) =>
      header(new Map([["", value]]))
        .toString("hex")
        .slice(2 * (24 + 8));
    expect(bytesOf({ type: "bool", value: true } as never)).toMatch(/^0700000001/);
    expect(bytesOf({ type: "f32", value: 1 } as never)).toMatch(/^060000000000803f/);
    expect(bytesOf({ type: "string", value: "é" } as never)).toMatch(/^080000000200000000000000c3a9/);
    expect(bytesOf({ type: "i32s", value: [-1] } as never)).toMatch(
      /^09000000050000000100000000000000ffffffff/,
    );
    expect(bytesOf({ type: "f32s", value: [1] } as never)).toMatch(
      /^090000000600000001000000000000000000803f/,
    );
    expect(bytesOf({ type: "strings", value: ["a"] } as never)).toMatch(
      /^09000000080000000100000000000000010000000000000061/,
    );
  });
});

describe("encodeQ8", () => {
  const decode = (bytes: Uint8Array): number[] => {
    const values: number[] = [];
    for (let at = 0; at < bytes.length; at += 34) {
      const [scale] = decodeFloats(bytes.subarray(at, at + 2), "f16");
      for (const q of new Int8Array(bytes.slice(at + 2, at + 34).buffer)) values.push(q * scale!);
    }
    return values;
  };
  const half = (scales: Float32Array) => encodeFloats(scales, "f16");

  it("is within half a step of every value, and exact at the largest", () => {
    const float = fc.float({ min: -100, max: 100, noNaN: true });
    fc.assert(
      fc.property(fc.array(float, { minLength: 64, maxLength: 64 }), (list) => {
        const values = Float32Array.from(list);
        const bytes = encodeQ8(values, half);
        expect(bytes).toHaveLength(ggufBytes({ type: "q8_0", shape: [2, 32] }));
        const decoded = decode(bytes);
        for (const [i, value] of values.entries()) {
          const block = values.subarray(32 * Math.floor(i / 32), 32 * Math.floor(i / 32) + 32);
          const largest = Math.max(...block.map(Math.abs));
          // The scale is a float16: 2^-11 relative, or 2^-25 where it is subnormal.
          const rounding = largest * 2 ** -11 + 127 * 2 ** -25;
          expect(Math.abs(decoded[i]! - value)).toBeLessThanOrEqual(largest / 254 + rounding + 1e-30);
        }
      }),
    );
  });

  it("rounds halves away from zero, and zeros stay zeros", () => {
    const values = new Float32Array(32);
    expect(decode(encodeQ8(values, half))).toEqual([...values]);
    values.set([127, 0.5, -0.5, 1.5, -2.5]);
    expect(decode(encodeQ8(values, half)).slice(0, 5)).toEqual([127, 1, -1, 2, -3]);
  });
});

it("interleavePairs puts row p of a head at 2p and row p + D/2 at 2p + 1", () => {
  const rows = Float32Array.from([0, 0, 1, 1, 2, 2, 3, 3, 10, 10, 11, 11, 12, 12, 13, 13]);
  expect([...interleavePairs(rows, 4, 2)]).toEqual([0, 0, 2, 2, 1, 1, 3, 3, 10, 10, 12, 12, 11, 11, 13, 13]);
});

it("a window that is shorter than the model's positions bounds the context", () => {
  const config: LlamaConfig = {
    ...{
      family: "mistral" as const,
      hiddenSize: 8,
      intermediateSize: 8,
      layers: 1,
      heads: 2,
      keyValueHeads: 1,
    },
    ...{
      headDim: 4,
      vocabSize: 9,
      rmsNormEps: 1e-5,
      maxPositions: 100,
      tiedEmbeddings: false,
      slidingWindow: 16,
    },
    rope: { type: "linear", theta: 1e4, factor: 2 },
  };
  const pairs = new Map(ggufModel(config, "name", "q8_0"));
  expect(pairs.get("llama.context_length")).toEqual({ type: "u32", value: 16 });
  expect(pairs.get("llama.rope.scaling.factor")).toEqual({ type: "f32", value: 2 });
  expect(pairs.get("general.file_type")).toEqual({ type: "u32", value: 7 });
});

describe("ggufTokenizer", () => {
  const made = makeTokenizer(97, 64).tokenizer as JsonObject;
  const facts = (definition: JsonObject): TokenizerFacts => ({
    ...{ definition, file: "tokenizer.json", vocabularyRows: 100, bosId: 1, eosId: 2, addsBos: true },
    chatTemplate: "{{ messages }}",
  });
  const valuesOf = (definition: JsonObject) =>
    new Map(
      ggufTokenizer(facts(definition)).pairs.map(([key, { value }]) => [
        key.replace("tokenizer.ggml.", ""),
        value,
      ]),
    );
  const withModel = (change: Record<string, PlainJson>): JsonObject => ({
    ...made,
    model: { ...(made.model as Record<string, PlainJson>), ...change },
  });

  it("describes byte-level BPE; rows without a token are unused", () => {
    const values = valuesOf(made);
    expect(values.get("model")).toBe("gpt2");
    expect(values.get("pre")).toBe("gpt-2");
    expect(values.get("tokens")).toHaveLength(100);
    const types = values.get("token_type") as number[];
    expect(types.slice(0, 4)).toEqual([2, 3, 3, 1]);
    expect(types.slice(96)).toEqual([1, 5, 5, 5]);
    expect(values.get("tokenizer.chat_template")).toBe("{{ messages }}");
    expect([values.get("bos_token_id"), values.get("eos_token_id"), values.get("add_bos_token")]).toEqual([
      1,
      2,
      true,
    ]);
  });

  it.each<[string, JsonObject, string]>([
    [
      "llama-bpe",
      {
        pre_tokenizer: {
          type: "Sequence",
          pretokenizers: [
            {
              type: "Split",
              pattern: {
                Regex:
                  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
              },
              behavior: "Isolated",
            },
            { type: "ByteLevel", add_prefix_space: false, use_regex: false },
          ],
        },
      },
      "llama-bpe",
    ],
    [
      "SmolLM",
      {
        pre_tokenizer: {
          type: "Sequence",
          pretokenizers: [
            { type: "Digits", individual_digits: true },
            { type: "ByteLevel", add_prefix_space: false, use_regex: true },
          ],
        },
      },
      "smollm",
    ],
  ])("knows how %s splits texts", (name, change, pre) => {
    const base = withModel({ ignore_merges: name === "llama-bpe" });
    expect(valuesOf({ ...base, ...change }).get("pre")).toBe(pre);
  });

  it("describes SentencePiece's BPE: a piece's score is the place of its merge", () => {
    const vocab = {
      "<unk>": 0,
      "<s>": 1,
      "</s>": 2,
      "<0x0A>": 3,
      "▁": 4,
      a: 5,
      b: 6,
      ab: 7,
      "▁ab": 8,
      zz: 9,
    };
    const definition = {
      ...withModel({ byte_fallback: true, vocab, merges: ["a b", ["▁", "ab"]] }),
      normalizer: {
        type: "Sequence",
        normalizers: [
          { type: "Prepend", prepend: "▁" },
          { type: "Replace", pattern: { String: " " }, content: "▁" },
        ],
      },
      pre_tokenizer: null,
    };
    const values = valuesOf(definition);
    expect(values.get("model")).toBe("llama");
    expect((values.get("scores") as number[]).slice(3, 10)).toEqual([0, 0, 0, 0, -0, -1, -1e9]);
    expect((values.get("token_type") as number[]).slice(0, 5)).toEqual([2, 3, 3, 6, 1]);
    expect(values.get("add_space_prefix")).toBe(true);
    const apart = {
      ...definition,
      ...withModel({ byte_fallback: true, vocab, merges: ["a b", "▁ ab", "a b"] }),
    };
    expect(() =>
      ggufTokenizer(facts({ ...apart, normalizer: definition.normalizer, pre_tokenizer: null })),
    ).toThrow("export.tokenizer");
  });

  it("warns of Metaspace, which treats a space at the begin in its own way", () => {
    const pre_tokenizer = { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false };
    const { diagnostics } = ggufTokenizer(facts({ ...withModel({ byte_fallback: true }), pre_tokenizer }));
    expect(diagnostics).toMatchObject([{ code: "export.tokenizer", severity: "warning" }]);
    expect(ggufTokenizer(facts(made)).diagnostics).toEqual([]);
  });

  it.each<[string, JsonObject]>([
    ["another kind of model", withModel({ type: "Unigram" })],
    ["another way to split", { ...made, pre_tokenizer: { type: "Whitespace" } }],
    ["no way to split", { ...made, pre_tokenizer: null }],
    ["a normalizer", { ...made, normalizer: { type: "NFC" } }],
    ["merges that are ignored", withModel({ ignore_merges: true })],
    ["a token without a row", withModel({ vocab: { a: 100 } })],
    ["a merge of three", withModel({ merges: ["a b c"] })],
    [
      "a SentencePiece that lowers case",
      { ...withModel({ byte_fallback: true }), normalizer: { type: "Lowercase" } },
    ],
  ])("refuses %s", async (_, definition) => {
    expect(await codesOf(() => ggufTokenizer(facts(definition)))).toEqual(["export.tokenizer"]);
  });
});
