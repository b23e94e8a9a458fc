/**
 * A Llama checkpoint as one GGUF file for llama.cpp: names, the order of rotary pairs, and the dtype change; nothing
 * else does. Memory holds one piece of a tensor.
 */
import { open } from "node:fs/promises";
import { invariant } from "../schemas/diagnostic.ts";
import type { Checkpoint, CheckpointTensor } from "./checkpoint.ts";
import { decodeFloats, encodeFloats, type FloatDType } from "./float-codec.ts";
import { encodeQ8, type GgufTensor, type GgufType, type GgufValue, Q8_BLOCK } from "./gguf-writer.ts";
import { llamaOuterTensors, llamaTensors, ropeInverseFrequencies, storageDType } from "./llama.ts";
import type { LlamaConfig } from "./llama-config.ts";
import { checkRange } from "./merge.ts";
import { readExactly, unreadable } from "./safetensors.ts";

const LOCAL_NAMES = {
  input_layernorm: "attn_norm",
  q_proj: "attn_q",
  k_proj: "attn_k",
  v_proj: "attn_v",
  o_proj: "attn_output",
  post_attention_layernorm: "ffn_norm",
  gate_proj: "ffn_gate",
  up_proj: "ffn_up",
  down_proj: "ffn_down",
} as const;

/** `general.file_type`. */
const FILE_TYPES: Readonly<Record<GgufType, number>> = { f32: 0, f16: 1, q8_0: 7 };
const QUANTIZATION_VERSION = 2;
const PIECE_BYTES = 4 * 2 ** 20;

/** The pairs that describe the model; its tokenizer's are in gguf-tokenizer.ts. */
export function ggufModel(config: LlamaConfig, name: string, type: GgufType): [string, GgufValue][] {
  const { rope, slidingWindow, maxPositions, headDim } = config;
  const counts: [string, number][] = [
    ["vocab_size", config.vocabSize],
    ["context_length", Math.min(maxPositions, slidingWindow ?? maxPositions)],
    ["embedding_length", config.hiddenSize],
    ["block_count", config.layers],
    ["feed_forward_length", config.intermediateSize],
    ["attention.head_count", config.heads],
    ["attention.head_count_kv", config.keyValueHeads],
    ["attention.key_length", headDim],
    ["attention.value_length", headDim],
    ["rope.dimension_count", headDim],
  ];
  const scaling: [string, GgufValue][] =
    rope.type === "linear"
      ? [
          ["llama.rope.scaling.type", { type: "string", value: "linear" }],
          ["llama.rope.scaling.factor", { type: "f32", value: rope.factor }],
        ]
      : [];
  return [
    ["general.architecture", { type: "string", value: "llama" }],
    ["general.type", { type: "string", value: "model" }],
    ["general.name", { type: "string", value: name }],
    ["general.file_type", { type: "u32", value: FILE_TYPES[type] }],
    ["general.quantization_version", { type: "u32", value: QUANTIZATION_VERSION }],
    ...counts.map(([key, value]): [string, GgufValue] => [`llama.${key}`, { type: "u32", value }]),
    ["llama.attention.layer_norm_rms_epsilon", { type: "f32", value: config.rmsNormEps }],
    ["llama.rope.freq_base", { type: "f32", value: rope.theta }],
    ...scaling,
  ];
}

export interface GgufOptions {
  /** `checkLlamaTensors` found no error in it. */
  readonly checkpoint: Checkpoint;
  readonly config: LlamaConfig;
  readonly type: GgufType;
  readonly onBytes?: (bytes: number) => void;
}

/** The tensors. Reading them throws `weights.*`. */
export function ggufTensors(options: GgufOptions): GgufTensor[] {
  const { config } = options;
  const { embedding, norm, head } = llamaOuterTensors(config);
  const heads: Readonly<Record<string, number>> = { q_proj: config.heads, k_proj: config.keyValueHeads };
  const blocks = Array.from({ length: config.layers }, (_, layer) =>
    Object.entries(llamaTensors(config, layer)).map(([local, { name }]) => {
      const target = `blk.${layer}.${LOCAL_NAMES[local as keyof typeof LOCAL_NAMES]}.weight`;
      return convert(options, name, target, Object.hasOwn(heads, local) ? config.headDim : null);
    }),
  );
  return [
    convert(options, embedding.name, "token_embd.weight", null),
    ...ropeFactors(config),
    ...blocks.flat(),
    convert(options, norm.name, "output_norm.weight", null),
    ...(config.tiedEmbeddings ? [] : [convert(options, head.name, "output.weight", null)]),
  ];
}

/** What llama.cpp divides each pair's frequency by: Llama 3's scaling, which no key describes. */
function ropeFactors(config: LlamaConfig): GgufTensor[] {
  const { rope, headDim } = config;
  if (rope.type !== "llama3") return [];
  const scaled = ropeInverseFrequencies(config);
  const plain = ropeInverseFrequencies({ headDim, rope: { type: "default", theta: rope.theta } });
  const factors = plain.map((frequency, pair) => frequency / scaled[pair]!);
  return [
    { name: "rope_freqs.weight", type: "f32", shape: [headDim / 2], data: [encodeFloats(factors, "f32")] },
  ];
}

function convert(
  { checkpoint, type: wanted, onBytes }: GgufOptions,
  source: string,
  name: string,
  rotaryRows: number | null,
): GgufTensor {
  const tensor = checkpoint.tensors.get(source);
  const stored = tensor && storageDType(tensor.dtype);
  invariant(
    tensor && (stored === "f32" || stored === "f16" || stored === "bf16"),
    `${source} was not checked`,
  );
  const path = checkpoint.files.find(({ id }) => id === tensor.file)!.path;
  const { shape } = tensor;
  // As llama.cpp's own converter: norms stay wide, and rows that are no whole blocks stay float16.
  const blocks = shape.at(-1)! % Q8_BLOCK === 0;
  const type = shape.length === 1 ? "f32" : wanted === "q8_0" && !blocks ? "f16" : wanted;
  return { name, type, shape, data: pieces({ tensor, stored, type, rotaryRows, path, onBytes }) };
}

interface Job {
  readonly tensor: CheckpointTensor;
  readonly stored: FloatDType;
  readonly type: GgufType;
  /** Rows of a head whose rotary pairs have to move; null where none do. */
  readonly rotaryRows: number | null;
  readonly path: string;
  readonly onBytes: ((bytes: number) => void) | undefined;
}

async function* pieces({ tensor, stored, type, rotaryRows, path, onBytes }: Job): AsyncGenerator<Uint8Array> {
  const file = await open(path, "r").catch((error) => {
    throw unreadable(path, error);
  });
  try {
    const rows = tensor.shape[0] ?? 1;
    const rowBytes = tensor.bytes / rows;
    const unit = rotaryRows ?? 1;
    const step = unit * Math.max(1, Math.floor(PIECE_BYTES / (rowBytes * unit)));
    for (let first = 0; first < rows; first += step) {
      const count = Math.min(step, rows - first);
      const bytes = await readExactly(file, tensor.offset + first * rowBytes, count * rowBytes, path);
      onBytes?.(bytes.length);
      const values = decodeFloats(bytes, stored);
      const columns = values.length / count;
      const ordered = rotaryRows === null ? values : interleavePairs(values, rotaryRows, columns);
      const target = type === "q8_0" ? "f16" : type;
      checkRange(ordered, { tensor, target, path });
      yield type === "q8_0"
        ? encodeQ8(ordered, (scales) => encodeFloats(scales, "f16"))
        : encodeFloats(ordered, type);
    }
  } finally {
    await file.close();
  }
}

/**
 * Hugging Face rotates row p of a head with row p + D/2, llama.cpp row 2p with 2p + 1: whole heads of D rows
 * [D, columns], reordered.
 */
export function interleavePairs(values: Float32Array, headRows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  const half = headRows / 2;
  for (let row = 0; row < values.length / columns; row++) {
    const head = row - (row % headRows);
    const place = row % headRows;
    const target = head + (place < half ? 2 * place : 2 * (place - half) + 1);
    result.set(values.subarray(row * columns, (row + 1) * columns), target * columns);
  }
  return result;
}
