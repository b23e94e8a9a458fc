/**
 * Models whose shape is known without their files, for `plan --dry-run`: the config.json of their Hub repository, as
 * far as it matters for a plan, and the tensors it implies laid out as one safetensors file.
 */
import { type Diagnostic, diagnostic, invariant } from "../schemas/diagnostic.ts";
import { nearest } from "../schemas/suggest.ts";
import { type CheckpointTensor, SINGLE_FILE } from "./checkpoint.ts";
import type { JsonObject } from "./field-reader.ts";
import { allLlamaTensors } from "./llama.ts";
import { readLlamaConfig } from "./llama-config.ts";
import type { SafetensorsDType } from "./safetensors.ts";
import { layoutSafetensors } from "./safetensors-writer.ts";

export interface KnownShape {
  /** The first of the model's Hub ids. */
  readonly id: string;
  /** As config.json holds it. */
  readonly config: JsonObject;
  readonly file: { readonly id: string; readonly bytes: number };
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
}

interface Shape {
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

/** hidden, intermediate, layers, heads, key/value heads. */
type Sizes = readonly [number, number, number, number, number];

function sized(family: JsonObject, [hidden, intermediate, layers, heads, keyValueHeads]: Sizes): JsonObject {
  return {
    ...family,
    hidden_size: hidden,
    intermediate_size: intermediate,
    num_attention_heads: heads,
    num_hidden_layers: layers,
    num_key_value_heads: keyValueHeads,
  };
}

const SHAPES: readonly Shape[] = [
  {
    ids: ["meta-llama/Llama-2-7b-hf", "NousResearch/Llama-2-7b-hf", "meta-llama/Llama-2-7b-chat-hf"],
    config: sized(LLAMA_2, [4096, 11008, 32, 32, 32]),
  },
  {
    ids: ["meta-llama/Llama-2-13b-hf", "NousResearch/Llama-2-13b-hf", "meta-llama/Llama-2-13b-chat-hf"],
    config: sized(LLAMA_2, [5120, 13824, 40, 40, 40]),
  },
  {
    ids: ["meta-llama/Llama-2-70b-hf", "NousResearch/Llama-2-70b-hf", "meta-llama/Llama-2-70b-chat-hf"],
    config: sized(LLAMA_2, [8192, 28672, 80, 64, 8]),
  },
  {
    ids: [
      "meta-llama/Meta-Llama-3-8B",
      "NousResearch/Meta-Llama-3-8B",
      "meta-llama/Meta-Llama-3-8B-Instruct",
    ],
    config: sized(LLAMA_3, [4096, 14336, 32, 32, 8]),
  },
  {
    ids: [
      "meta-llama/Meta-Llama-3-70B",
      "NousResearch/Meta-Llama-3-70B",
      "meta-llama/Meta-Llama-3-70B-Instruct",
    ],
    config: sized(LLAMA_3, [8192, 28672, 80, 64, 8]),
  },
  {
    ids: ["TinyLlama/TinyLlama-1.1B-Chat-v1.0"],
    config: sized(
      { ...LLAMA, max_position_embeddings: 2048, torch_dtype: "bfloat16", vocab_size: 32000 },
      [2048, 5632, 22, 32, 4],
    ),
  },
  {
    ids: ["mistralai/Mistral-7B-v0.3"],
    config: sized(
      {
        architectures: ["MistralForCausalLM"],
        attention_dropout: 0,
        hidden_act: "silu",
        max_position_embeddings: 32768,
        model_type: "mistral",
        rms_norm_eps: 1e-5,
        rope_theta: 1000000,
        sliding_window: null,
        tie_word_embeddings: false,
        torch_dtype: "bfloat16",
        vocab_size: 32768,
      },
      [4096, 14336, 32, 32, 8],
    ),
  },
  {
    ids: ["HuggingFaceTB/SmolLM-135M"],
    config: sized(
      {
        ...LLAMA,
        max_position_embeddings: 2048,
        tie_word_embeddings: true,
        torch_dtype: "float32",
        vocab_size: 49152,
      },
      [576, 1536, 30, 9, 3],
    ),
  },
];

const DTYPES: Readonly<Record<string, SafetensorsDType>> = {
  float32: "F32",
  float16: "F16",
  bfloat16: "BF16",
};

/** Every id that `knownShape` answers to. */
export function knownShapeIds(): readonly string[] {
  return SHAPES.flatMap(({ ids }) => ids);
}

/** The shape of a Hub id (letter case does not matter), or undefined. */
export function knownShape(id: string): KnownShape | undefined {
  const wanted = id.toLowerCase();
  const shape = SHAPES.find(({ ids }) => ids.some((known) => known.toLowerCase() === wanted));
  if (!shape) return undefined;
  const { config } = readLlamaConfig(shape.config, shape.ids[0]);
  invariant(config, `the known shape ${shape.ids[0]} has no valid config`);
  const dtype = DTYPES[String(shape.config.torch_dtype)];
  invariant(dtype, `the known shape ${shape.ids[0]} has no dtype`);
  const layout = layoutSafetensors(
    allLlamaTensors(config).map((tensor) => ({ ...tensor, dtype })),
    {
      format: "pt",
    },
  );
  return {
    id: shape.ids[0],
    config: shape.config,
    file: { id: SINGLE_FILE, bytes: layout.fileBytes },
    tensors: new Map(layout.tensors.map((tensor) => [tensor.name, { ...tensor, file: SINGLE_FILE }])),
  };
}

/** For a dry run of a model that is neither a directory nor known. */
export function unknownShape(id: string): Diagnostic {
  const close = nearest(id, knownShapeIds());
  return diagnostic("model.not-found", {
    summary: `${id} is neither a model directory nor a known shape`,
    hint:
      close === undefined
        ? `known shapes: ${SHAPES.map(({ ids }) => ids[0]).join(", ")}`
        : `did you mean ${close}?`,
  });
}
