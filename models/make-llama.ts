/**
 * Makes a random Llama in Hugging Face's format (config, safetensors, tokenizer), for benchmarks and tests. The same
 * options give the same bytes. Weights are streamed: memory use does not grow with the model.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { counterRandom } from "../schemas/counter-rng.ts";
import { DiagnosticError, invariant } from "../schemas/diagnostic.ts";
import { INDEX_FILE } from "./checkpoint.ts";
import type { JsonObject } from "./field-reader.ts";
import { encodeFloats, type FloatDType } from "./float-codec.ts";
import { allLlamaTensors, type ModelTensor } from "./llama.ts";
import { readLlamaConfig } from "./llama-config.ts";
import { makeTokenizer } from "./make-tokenizer.ts";
import { type TensorData, writeSafetensors } from "./safetensors-writer.ts";
import { indexText, shardNames } from "./shards.ts";

export interface MakeLlamaOptions {
  /** Created when absent; files in it are replaced. */
  readonly directory: string;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Default: `heads`. */
  readonly keyValueHeads?: number;
  /** Default: hiddenSize / heads. */
  readonly headDim?: number;
  readonly vocabSize: number;
  /** Default 2048. */
  readonly maxPositions?: number;
  readonly dtype: FloatDType;
  readonly seed: number;
  /** Files that the weights are spread over; default 1, which has no index. */
  readonly shards?: number;
  readonly tiedEmbeddings?: boolean;
  readonly ropeScaling?: "linear" | "llama3";
}

export interface MadeLlama {
  readonly parameters: number;
  /** Of all weights, without headers. */
  readonly bytes: number;
}

const DTYPES = {
  f32: { safetensors: "F32", torch: "float32", bytes: 4 },
  f16: { safetensors: "F16", torch: "float16", bytes: 2 },
  bf16: { safetensors: "BF16", torch: "bfloat16", bytes: 2 },
} as const;

/** Standard deviation of the weights, as `initializer_range` of Llama. */
const DEVIATION = 0.02;
const DRAWS_PER_PIECE = 2 ** 18;

/** Writes the model; throws `model.*` diagnostics when the options make no valid Llama. */
export async function makeLlama(options: MakeLlamaOptions): Promise<MadeLlama> {
  const { directory, dtype, seed, shards = 1, vocabSize } = options;
  const raw = configJson(options);
  const { config, diagnostics } = readLlamaConfig(raw, "the made config.json");
  if (!config) throw new DiagnosticError(diagnostics);
  const tensors = allLlamaTensors(config);
  invariant(
    shards >= 1 && shards <= tensors.length,
    `${tensors.length} tensors do not fill ${shards} shards`,
  );
  await mkdir(directory, { recursive: true });

  const quantiles = { matrix: quantileTable(0, dtype), norm: quantileTable(1, dtype) };
  const names = shardNames(shards);
  const places: [string, string][] = [];
  for (const [index, shard] of spread(tensors, shards).entries()) {
    const name = names[index]!;
    const data = shard.map((tensor): TensorData => {
      const table = tensor.shape.length === 1 ? quantiles.norm : quantiles.matrix;
      const spec = { name: tensor.name, shape: tensor.shape, dtype: DTYPES[dtype].safetensors };
      return { ...spec, data: drawTensor(tensor, table, seed) };
    });
    await writeSafetensors(join(directory, name), data, { format: "pt" });
    places.push(...shard.map((tensor): [string, string] => [tensor.name, name]));
  }

  const parameters = tensors.reduce((sum, { shape }) => sum + elements(shape), 0);
  const bytes = parameters * DTYPES[dtype].bytes;
  const { tokenizer, config: tokenizerConfig } = makeTokenizer(vocabSize, config.maxPositions);
  const files: Record<string, object> = {
    "config.json": raw,
    "generation_config.json": { bos_token_id: 1, eos_token_id: 2 },
    "tokenizer.json": tokenizer,
    "tokenizer_config.json": tokenizerConfig,
  };
  if (shards > 1) {
    await writeFile(join(directory, INDEX_FILE), indexText(bytes, places));
  }
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(directory, name), `${JSON.stringify(content, null, 2)}\n`);
  }
  return { parameters, bytes };
}

function configJson(options: MakeLlamaOptions): JsonObject {
  const { hiddenSize, heads, keyValueHeads = heads, maxPositions = 2048, ropeScaling } = options;
  const scalings = {
    linear: { rope_type: "linear", factor: 2 },
    llama3: {
      rope_type: "llama3",
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: Math.ceil(maxPositions / 8),
    },
  };
  return {
    architectures: ["LlamaForCausalLM"],
    attention_bias: false,
    attention_dropout: 0,
    bos_token_id: 1,
    eos_token_id: 2,
    head_dim: options.headDim ?? Math.floor(hiddenSize / heads),
    hidden_act: "silu",
    hidden_size: hiddenSize,
    initializer_range: DEVIATION,
    intermediate_size: options.intermediateSize,
    max_position_embeddings: maxPositions,
    mlp_bias: false,
    model_type: "llama",
    num_attention_heads: heads,
    num_hidden_layers: options.layers,
    num_key_value_heads: keyValueHeads,
    rms_norm_eps: 1e-5,
    rope_scaling: ropeScaling === undefined ? null : scalings[ropeScaling],
    rope_theta: 10000,
    tie_word_embeddings: options.tiedEmbeddings ?? false,
    torch_dtype: DTYPES[options.dtype].torch,
    use_cache: true,
    vocab_size: options.vocabSize,
  };
}

/** Cuts the tensors, in the model's order, into `shards` groups of about equal size, none of them empty. */
function spread(tensors: readonly ModelTensor[], shards: number): ModelTensor[][] {
  const total = tensors.reduce((sum, { shape }) => sum + elements(shape), 0);
  const groups: ModelTensor[][] = [[]];
  let before = 0;
  for (const [index, tensor] of tensors.entries()) {
    const full = before >= (total * groups.length) / shards;
    const needed = tensors.length - index <= shards - groups.length;
    if (groups.at(-1)!.length > 0 && groups.length < shards && (full || needed)) groups.push([]);
    groups.at(-1)!.push(tensor);
    before += elements(tensor.shape);
  }
  return groups;
}

/** One table look-up a weight: 16 random bits choose among 65 536 quantiles. Pieces share one buffer. */
function* drawTensor({ name, shape }: ModelTensor, table: QuantileTable, seed: number): Iterable<Uint8Array> {
  const random = counterRandom(seed, name);
  const count = elements(shape);
  const draws = new Uint32Array(Math.min(DRAWS_PER_PIECE, Math.ceil(count / 2)));
  const piece = new table.Elements(2 * draws.length);
  for (let done = 0; done < count; done += piece.length) {
    random.fill(draws, done / 2);
    for (let index = 0; index < draws.length; index++) {
      const draw = draws[index]!;
      piece[2 * index] = table.values[draw & 0xffff]!;
      piece[2 * index + 1] = table.values[draw >>> 16]!;
    }
    const length = Math.min(piece.length, count - done);
    yield new Uint8Array(piece.buffer, 0, length * piece.BYTES_PER_ELEMENT);
  }
}

/** Stored bits of equally likely weights. */
type QuantileTable =
  | { readonly Elements: Uint16ArrayConstructor; readonly values: Uint16Array }
  | { readonly Elements: Uint32ArrayConstructor; readonly values: Uint32Array };

/** Quantiles (i + ½) / 65 536 of N(mean, DEVIATION²). */
function quantileTable(mean: number, dtype: FloatDType): QuantileTable {
  const quantiles = Float32Array.from(
    { length: 2 ** 16 },
    (_, index) => mean + DEVIATION * normalQuantile((index + 0.5) / 2 ** 16),
  );
  const { buffer } = encodeFloats(quantiles, dtype);
  return dtype === "f32"
    ? { Elements: Uint32Array, values: new Uint32Array(buffer) }
    : { Elements: Uint16Array, values: new Uint16Array(buffer) };
}

/** Inverse of the normal distribution, to about 0.2 % (Winitzki 2008, "A handy approximation for the error function"). */
function normalQuantile(probability: number): number {
  const x = 2 * probability - 1;
  const a = 0.147;
  const log = Math.log(1 - x * x);
  const half = 2 / (Math.PI * a) + log / 2;
  return Math.SQRT2 * Math.sign(x) * Math.sqrt(Math.sqrt(half * half - log / a) - half);
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}
