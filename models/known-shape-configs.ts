/**
 * The configs behind `known-shapes.ts`: each is the config.json of the first Hub repository in `ids`, with the fields
 * that decide a plan under their own names and values; what only concerns generation or the tokenizer is left out. The
 * other ids are repositories with the same shape: fine-tunes by the model's makers, and copies without a gate.
 *
 * `torch_dtype` is what the safetensors of the repository are stored in. The number of parameters that follows from
 * each config is tested against the one that the Hub shows for its safetensors.
 */
import type { JsonObject } from "./field-reader.ts";

export interface ShapeConfig {
  readonly ids: readonly [string, ...string[]];
  readonly config: JsonObject;
}

const LLAMA: JsonObject = {
  architectures: ["LlamaForCausalLM"],
  attention_bias: false,
  hidden_act: "silu",
  model_type: "llama",
  rms_norm_eps: 1e-5,
  rope_scaling: null,
  rope_theta: 10000,
  tie_word_embeddings: false,
};

const LLAMA_2: JsonObject = {
  ...LLAMA,
  max_position_embeddings: 4096,
  torch_dtype: "float16",
  vocab_size: 32000,
};

const LLAMA_3: JsonObject = {
  ...LLAMA,
  max_position_embeddings: 8192,
  rope_theta: 500000,
  torch_dtype: "bfloat16",
  vocab_size: 128256,
};

const LLAMA_3_1: JsonObject = {
  ...LLAMA_3,
  max_position_embeddings: 131072,
  rope_scaling: {
    factor: 8,
    high_freq_factor: 4,
    low_freq_factor: 1,
    original_max_position_embeddings: 8192,
    rope_type: "llama3",
  },
};

const LLAMA_3_2: JsonObject = {
  ...LLAMA_3_1,
  rope_scaling: {
    factor: 32,
    high_freq_factor: 4,
    low_freq_factor: 1,
    original_max_position_embeddings: 8192,
    rope_type: "llama3",
  },
  tie_word_embeddings: true,
};

const SMOLLM: JsonObject = {
  ...LLAMA,
  max_position_embeddings: 2048,
  tie_word_embeddings: true,
  torch_dtype: "float32",
  vocab_size: 49152,
};

const SMOLLM_2: JsonObject = {
  ...SMOLLM,
  max_position_embeddings: 8192,
  rope_theta: 100000,
  torch_dtype: "bfloat16",
};

const MISTRAL_7B: JsonObject = {
  architectures: ["MistralForCausalLM"],
  attention_dropout: 0,
  hidden_act: "silu",
  hidden_size: 4096,
  intermediate_size: 14336,
  max_position_embeddings: 32768,
  model_type: "mistral",
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-5,
  rope_theta: 1000000,
  sliding_window: null,
  tie_word_embeddings: false,
  torch_dtype: "bfloat16",
};

/** What 8B has in Llama 3 and 3.1, and 70B in all of Llama 2, 3 and 3.1. */
const SIZE_8B = {
  hidden_size: 4096,
  intermediate_size: 14336,
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 8,
};
const SIZE_70B = {
  hidden_size: 8192,
  intermediate_size: 28672,
  num_attention_heads: 64,
  num_hidden_layers: 80,
  num_key_value_heads: 8,
};

const SIZE_135M = {
  hidden_size: 576,
  intermediate_size: 1536,
  num_attention_heads: 9,
  num_hidden_layers: 30,
  num_key_value_heads: 3,
};

export const SHAPE_CONFIGS: readonly ShapeConfig[] = [
  {
    ids: ["meta-llama/Llama-2-7b-hf", "NousResearch/Llama-2-7b-hf", "meta-llama/Llama-2-7b-chat-hf"],
    config: {
      ...LLAMA_2,
      hidden_size: 4096,
      intermediate_size: 11008,
      num_attention_heads: 32,
      num_hidden_layers: 32,
      num_key_value_heads: 32,
    },
  },
  {
    ids: ["meta-llama/Llama-2-13b-hf", "NousResearch/Llama-2-13b-hf", "meta-llama/Llama-2-13b-chat-hf"],
    config: {
      ...LLAMA_2,
      hidden_size: 5120,
      intermediate_size: 13824,
      num_attention_heads: 40,
      num_hidden_layers: 40,
      num_key_value_heads: 40,
    },
  },
  {
    ids: ["meta-llama/Llama-2-70b-hf", "NousResearch/Llama-2-70b-hf", "meta-llama/Llama-2-70b-chat-hf"],
    config: { ...LLAMA_2, ...SIZE_70B },
  },
  {
    ids: [
      "meta-llama/Meta-Llama-3-8B",
      "NousResearch/Meta-Llama-3-8B",
      "meta-llama/Meta-Llama-3-8B-Instruct",
    ],
    config: { ...LLAMA_3, ...SIZE_8B },
  },
  {
    ids: [
      "meta-llama/Meta-Llama-3-70B",
      "NousResearch/Meta-Llama-3-70B",
      "meta-llama/Meta-Llama-3-70B-Instruct",
    ],
    config: { ...LLAMA_3, ...SIZE_70B },
  },
  {
    ids: [
      "meta-llama/Llama-3.1-8B",
      "meta-llama/Meta-Llama-3.1-8B",
      "NousResearch/Meta-Llama-3.1-8B",
      "meta-llama/Llama-3.1-8B-Instruct",
    ],
    config: { ...LLAMA_3_1, ...SIZE_8B },
  },
  {
    ids: [
      "meta-llama/Llama-3.1-70B",
      "meta-llama/Meta-Llama-3.1-70B",
      "NousResearch/Meta-Llama-3.1-70B",
      "meta-llama/Llama-3.1-70B-Instruct",
    ],
    config: { ...LLAMA_3_1, ...SIZE_70B },
  },
  {
    ids: ["meta-llama/Llama-3.2-1B", "unsloth/Llama-3.2-1B", "meta-llama/Llama-3.2-1B-Instruct"],
    config: {
      ...LLAMA_3_2,
      head_dim: 64,
      hidden_size: 2048,
      intermediate_size: 8192,
      num_attention_heads: 32,
      num_hidden_layers: 16,
      num_key_value_heads: 8,
    },
  },
  {
    ids: ["meta-llama/Llama-3.2-3B", "unsloth/Llama-3.2-3B", "meta-llama/Llama-3.2-3B-Instruct"],
    config: {
      ...LLAMA_3_2,
      head_dim: 128,
      hidden_size: 3072,
      intermediate_size: 8192,
      num_attention_heads: 24,
      num_hidden_layers: 28,
      num_key_value_heads: 8,
    },
  },
  {
    ids: ["TinyLlama/TinyLlama-1.1B-Chat-v1.0"],
    config: {
      ...LLAMA,
      hidden_size: 2048,
      intermediate_size: 5632,
      max_position_embeddings: 2048,
      num_attention_heads: 32,
      num_hidden_layers: 22,
      num_key_value_heads: 4,
      torch_dtype: "bfloat16",
      vocab_size: 32000,
    },
  },
  { ids: ["HuggingFaceTB/SmolLM-135M"], config: { ...SMOLLM, ...SIZE_135M } },
  {
    ids: ["HuggingFaceTB/SmolLM2-135M", "HuggingFaceTB/SmolLM2-135M-Instruct"],
    config: { ...SMOLLM_2, ...SIZE_135M },
  },
  {
    ids: ["HuggingFaceTB/SmolLM2-360M", "HuggingFaceTB/SmolLM2-360M-Instruct"],
    config: {
      ...SMOLLM_2,
      hidden_size: 960,
      intermediate_size: 2560,
      num_attention_heads: 15,
      num_hidden_layers: 32,
      num_key_value_heads: 5,
    },
  },
  {
    ids: ["HuggingFaceTB/SmolLM2-1.7B", "HuggingFaceTB/SmolLM2-1.7B-Instruct"],
    config: {
      ...SMOLLM_2,
      hidden_size: 2048,
      intermediate_size: 8192,
      num_attention_heads: 32,
      num_hidden_layers: 24,
      num_key_value_heads: 32,
      rope_theta: 130000,
    },
  },
  {
    // Every token of v0.1 attends to the 4,096 before it: longer sequences are refused (`checkSequenceLength`).
    ids: ["mistralai/Mistral-7B-v0.1", "mistralai/Mistral-7B-Instruct-v0.1"],
    config: { ...MISTRAL_7B, rope_theta: 10000, sliding_window: 4096, vocab_size: 32000 },
  },
  { ids: ["mistralai/Mistral-7B-Instruct-v0.2"], config: { ...MISTRAL_7B, vocab_size: 32000 } },
  {
    ids: ["mistralai/Mistral-7B-v0.3", "mistralai/Mistral-7B-Instruct-v0.3"],
    config: { ...MISTRAL_7B, vocab_size: 32768 },
  },
];
