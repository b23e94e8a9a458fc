import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { openCheckpoint } from "../../models/checkpoint.ts";
import type { JsonObject } from "../../models/field-reader.ts";
import {
  checkLlamaTensors,
  checkSequenceLength,
  type LlamaConfig,
  llamaTensors,
  readLlamaConfig,
  ropeInverseFrequencies,
  type TensorTable,
} from "../../models/llama.ts";
import type { Rope } from "../../models/rope.ts";

const RAW: JsonObject = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  vocab_size: 97,
};

const read = (fields: Record<string, unknown>) =>
  readLlamaConfig({ ...RAW, ...(fields as JsonObject) }, "config.json");
const accepted = (fields: Record<string, unknown> = {}): LlamaConfig => {
  const { config, diagnostics } = read(fields);
  expect(diagnostics).toEqual([]);
  return config!;
};
const codes = (fields: Record<string, unknown>): string[] => read(fields).diagnostics.map(({ code }) => code);

describe("readLlamaConfig", () => {
  it("fills absent fields with the defaults of Transformers", () => {
    expect(accepted()).toEqual({
      family: "llama",
      hiddenSize: 64,
      intermediateSize: 96,
      layers: 2,
      heads: 4,
      keyValueHeads: 4,
      headDim: 16,
      vocabSize: 97,
      rmsNormEps: 1e-6,
      maxPositions: 2048,
      tiedEmbeddings: false,
      slidingWindow: null,
      rope: { type: "default", theta: 10000 },
    });
    const mistral = { model_type: "mistral", architectures: ["MistralForCausalLM"], num_attention_heads: 16 };
    expect(accepted(mistral)).toMatchObject({ keyValueHeads: 8, slidingWindow: 4096, maxPositions: 131072 });
    expect(accepted({ ...mistral, sliding_window: null }).slidingWindow).toBeNull();
  });

  it("reads what is given", () => {
    const given = { num_key_value_heads: 2, head_dim: 24, rms_norm_eps: 1e-5, tie_word_embeddings: true };
    expect(accepted({ ...given, max_position_embeddings: 512, rope_theta: 5e5 })).toMatchObject({
      keyValueHeads: 2,
      headDim: 24,
      rmsNormEps: 1e-5,
      tiedEmbeddings: true,
      maxPositions: 512,
      rope: { type: "default", theta: 5e5 },
    });
  });

  it("reads every spelling of rope scaling alike", () => {
    const linear: Rope = { type: "linear", theta: 1e6, factor: 4 };
    expect(accepted({ rope_theta: 1e6, rope_scaling: { type: "linear", factor: 4 } }).rope).toEqual(linear);
    expect(accepted({ rope_theta: 1e6, rope_scaling: { rope_type: "linear", factor: 4.0 } }).rope).toEqual(
      linear,
    );
    const parameters = { rope_type: "linear", factor: 4, rope_theta: 1e6 };
    expect(accepted({ rope_parameters: parameters }).rope).toEqual(linear);
    expect(accepted({ rope_theta: 5, rope_parameters: parameters }).rope).toEqual(linear);
    expect(accepted({ rope_parameters: { rope_type: "default", rope_theta: 5e5 } }).rope).toEqual({
      type: "default",
      theta: 5e5,
    });
    const llama3 = { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
    expect(accepted({ rope_scaling: llama3, max_position_embeddings: 4096 }).rope).toEqual({
      type: "llama3",
      theta: 10000,
      factor: 8,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalMaxPositions: 4096,
    });
  });

  it.each<[string, Record<string, unknown>, string]>([
    ["another family", { model_type: "qwen2" }, "model.unsupported-family"],
    ["no family", { model_type: undefined }, "model.unsupported-family"],
    ["another head", { architectures: ["LlamaForSequenceClassification"] }, "model.unsupported-family"],
    ["a missing size", { hidden_size: undefined }, "model.invalid-value"],
    ["a size that is no number", { hidden_size: "64" }, "model.invalid-value"],
    ["a size of zero", { num_hidden_layers: 0 }, "model.invalid-value"],
    ["a fractional size", { vocab_size: 1.5 }, "model.invalid-value"],
    ["an epsilon of zero", { rms_norm_eps: 0 }, "model.invalid-value"],
    ["an epsilon that is infinite in float32", { rms_norm_eps: 1e39 }, "model.invalid-value"],
    ["an epsilon that is 0 in float32", { rms_norm_eps: 1e-50 }, "model.invalid-value"],
    ["a slip of the keyboard in the layers", { num_hidden_layers: 1e9 }, "model.invalid-value"],
    ["a flag that is no flag", { tie_word_embeddings: "yes" }, "model.invalid-value"],
    ["heads that do not divide", { num_key_value_heads: 3 }, "model.invalid-value"],
    ["an odd head size", { head_dim: 15 }, "model.invalid-value"],
    ["heads without a size", { hidden_size: 2 }, "model.invalid-value"],
    ["another activation", { hidden_act: "gelu" }, "model.unsupported-feature"],
    ["biases in attention", { attention_bias: true }, "model.unsupported-feature"],
    ["biases in the MLP", { mlp_bias: true }, "model.unsupported-feature"],
    ["dropout", { attention_dropout: 0.1 }, "model.unsupported-feature"],
    ["quantized weights", { quantization_config: { bits: 4 } }, "model.unsupported-feature"],
    ["interleaved rotation", { rope_interleaved: true }, "model.unsupported-feature"],
    ["partial rotation", { partial_rotary_factor: 0.5 }, "model.unsupported-feature"],
    ["a field that sounds mathematical", { residual_multiplier: 0.22 }, "model.unsupported-feature"],
    ["a soft cap", { final_logit_softcapping: 30 }, "model.unsupported-feature"],
    ["a property of Object that is set", { toString: 1 }, "model.unknown-field"],
    ["an unknown field", { colour: "blue" }, "model.unknown-field"],
    ["yarn", { rope_scaling: { rope_type: "yarn", factor: 2 } }, "model.unsupported-feature"],
    [
      "rope by layer type",
      { rope_parameters: { full_attention: { rope_type: "default" } } },
      "model.unsupported-feature",
    ],
    ["a factor without a type", { rope_scaling: { factor: 2 } }, "model.unsupported-feature"],
    ["linear rope without factor", { rope_scaling: { type: "linear" } }, "model.invalid-value"],
    ["rope scaling that is no object", { rope_scaling: 2 }, "model.invalid-value"],
    [
      "rope scaling twice",
      { rope_scaling: { type: "linear", factor: 2 }, rope_parameters: { rope_type: "default" } },
      "model.invalid-value",
    ],
    [
      "llama3 bounds in the wrong order",
      { rope_scaling: { rope_type: "llama3", factor: 8, low_freq_factor: 4, high_freq_factor: 4 } },
      "model.invalid-value",
    ],
    [
      "part of the rotation",
      { rope_parameters: { rope_type: "default", partial_rotary_factor: 0.5 } },
      "model.unsupported-feature",
    ],
  ])("answers %s", (_, fields, code) => {
    const { config, diagnostics } = read(fields);
    expect(diagnostics.map((diagnostic) => diagnostic.code)).toContain(code);
    expect(config === undefined).toBe(diagnostics.some(({ severity }) => severity === "error"));
    expect(config !== undefined).toBe(code === "model.unknown-field");
  });

  it("reports all problems at once, each with its place", () => {
    const { diagnostics } = read({ hidden_size: -1, hidden_act: "relu", rope_scaling: { type: "linear" } });
    expect(diagnostics.map(({ where }) => where?.path)).toEqual([
      "hidden_act",
      "hidden_size",
      "rope_scaling.factor",
    ]);
  });

  it("takes the harmless and the neutral", () => {
    expect(
      codes({ torch_dtype: "bfloat16", use_cache: true, pretraining_tp: 2, _name_or_path: "x" }),
    ).toEqual([]);
    expect(
      codes({ attention_dropout: 0, partial_rotary_factor: 1, attention_multiplier: null, pruned_heads: {} }),
    ).toEqual([]);
  });

  it.each([
    "base",
    "gqa_head_dim",
    "mistral",
    "odd",
    "rope_linear",
    "rope_llama3",
    "rope_parameters",
    "tied",
  ])("reads the parity suite's %s", async (name) => {
    const checkpoint = await openCheckpoint(`test/golden/parity/${name}/model`);
    const { config, diagnostics } = readLlamaConfig(checkpoint.config);
    expect(diagnostics).toEqual([]);
    expect(checkLlamaTensors(checkpoint, config!)).toEqual([]);
  });
});

describe("checkSequenceLength", () => {
  it("refuses a window that would have to mask, and warns beyond the trained positions", () => {
    const config = accepted({ sliding_window: 16, max_position_embeddings: 12 });
    expect(checkSequenceLength(config, 12)).toEqual([]);
    expect(checkSequenceLength(config, 16)).toMatchObject([
      { code: "model.sequence-too-long", severity: "warning" },
    ]);
    expect(checkSequenceLength(config, 17)).toMatchObject([
      { code: "model.sequence-too-long", severity: "error" },
    ]);
  });
});

describe("ropeInverseFrequencies", () => {
  const llama3 = (factor: number): Rope => ({
    type: "llama3",
    theta: 5e5,
    factor,
    lowFrequencyFactor: 1,
    highFrequencyFactor: 4,
    originalMaxPositions: 8192,
  });
  // LlamaRotaryEmbedding(config).inv_freq of Transformers 5.23.0 on torch 2.13.0.
  it.each<[string, Rope, number]>([
    ["default_128", { type: "default", theta: 1e4 }, 128],
    ["default_64_500k", { type: "default", theta: 5e5 }, 64],
    ["linear_128_2.5", { type: "linear", theta: 1e4, factor: 2.5 }, 128],
    ["llama3_128", llama3(8), 128],
    ["llama3_64_32", llama3(32), 64],
    ["default_10", { type: "default", theta: 1e6 }, 10],
  ])("gives the bits of Transformers: %s", async (name, rope, headDim) => {
    const golden = JSON.parse(await readFile("test/models/rope-frequencies.json", "utf8"));
    expect([...ropeInverseFrequencies({ rope, headDim })]).toEqual(golden[name]);
  });
});

describe("checkLlamaTensors", () => {
  const config = accepted({ num_key_value_heads: 2, num_hidden_layers: 1 });
  const table = (
    change: (
      tensors: Map<string, TensorTable["tensors"] extends ReadonlyMap<string, infer T> ? T : never>,
    ) => void,
  ) => {
    const outer = [
      ["model.embed_tokens.weight", [97, 64]],
      ["model.norm.weight", [64]],
      ["lm_head.weight", [97, 64]],
    ] as const;
    const block = Object.values(llamaTensors(config, 0)).map(({ name, shape }) => [name, shape] as const);
    const tensors = new Map(
      [...outer, ...block].map(([name, shape]) => [
        name,
        { dtype: "BF16" as const, shape: [...shape], file: "m" },
      ]),
    );
    change(tensors as never);
    return checkLlamaTensors({ tensors }, config);
  };

  it("names the tensors of a layer as Transformers does", () => {
    expect(llamaTensors(config, 0)).toMatchObject({
      q_proj: { name: "model.layers.0.self_attn.q_proj.weight", shape: [64, 64] },
      k_proj: { name: "model.layers.0.self_attn.k_proj.weight", shape: [32, 64] },
      down_proj: { name: "model.layers.0.mlp.down_proj.weight", shape: [64, 96] },
      post_attention_layernorm: { name: "model.layers.0.post_attention_layernorm.weight", shape: [64] },
    });
    expect(table(() => undefined)).toEqual([]);
  });

  it("finds what is missing, misshapen or unreadable", () => {
    const found = table((tensors) => {
      tensors.delete("lm_head.weight");
      tensors.set("model.norm.weight", { dtype: "F32", shape: [63], file: "m" });
      tensors.set("model.layers.0.mlp.up_proj.weight", { dtype: "I8", shape: [96, 64], file: "m" });
    });
    expect(found.map(({ code }) => code).sort()).toEqual([
      "weights.missing-tensor",
      "weights.unsupported-dtype",
      "weights.wrong-shape",
    ]);
    expect(found.find(({ code }) => code === "weights.missing-tensor")?.hint).toContain(
      "tie_word_embeddings",
    );
  });

  it("says each fault once, however many tensors have it", () => {
    const found = table((tensors) => {
      for (const name of [...tensors.keys()]) if (name.includes("layers.0")) tensors.delete(name);
    });
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({
      code: "weights.missing-tensor",
      summary: "9 tensors are missing from the checkpoint",
      detail: expect.stringMatching(/^(model\.layers\.0\..*\n){8}… and 1 more$/),
    });
  });

  it("warns of surplus tensors, except old rotary buffers", () => {
    const extra = { dtype: "F32" as const, shape: [8], file: "m" };
    expect(table((tensors) => tensors.set("model.layers.0.self_attn.rotary_emb.inv_freq", extra))).toEqual(
      [],
    );
    expect(table((tensors) => tensors.set("model.layers.0.self_attn.q_proj.bias", extra))).toMatchObject([
      { code: "weights.unexpected-tensor", severity: "warning" },
    ]);
  });
});
