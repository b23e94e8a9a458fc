/**
 * The Llama block as a list of ops: the only place that knows how a Llama layer is wired.
 *
 * Shapes: B sequences of a micro-batch, S positions, H hidden size, N query heads and G key/value heads of size D,
 * F intermediate size. The residual stream is f32; inputs of matrix products are in the activation dtype, and so are
 * the gradients that matrix products read.
 */
import { type Graph, GraphBuilder } from "../schemas/graph.ts";
import type { Numerics } from "../schemas/inputs.ts";
import type { DType } from "../schemas/ops/define-op.ts";
import type { LlamaConfig, LlamaLinear } from "./llama.ts";
import type { LayerLora } from "./lora.ts";

export interface LlamaGraphOptions {
  readonly config: LlamaConfig;
  readonly sequenceLength: number;
  readonly numerics: Numerics;
  /** Storage dtype of each block weight by local name. */
  readonly storage: Readonly<Record<string, DType>>;
  readonly lora: LayerLora;
  /**
   * Positions that a key/value cache has room for: generation, where the S positions of a run are the next ones and
   * see all before them. Null: training, where a row is whole and positions see those before them in their segment.
   */
  readonly cache: number | null;
}

/** `x` [B,S,H] → `y` [B,S,H]: y = x + attention(norm(x)), then + mlp(norm(·)). */
export function llamaBlock(options: LlamaGraphOptions): Graph {
  const { config, sequenceLength: S, numerics } = options;
  const { hiddenSize: H, heads: N, keyValueHeads: G, headDim: D, intermediateSize: F } = config;
  const activation = numerics.activation;
  const g = new GraphBuilder();
  const linear = linearBuilder(g, options);

  g.value("x", ["B", S, H], "f32", { origin: { kind: "input" } });
  g.value("cosine", ["B", S, D / 2], "f32", { origin: { kind: "input" } });
  g.value("sine", ["B", S, D / 2], "f32", { origin: { kind: "input" } });

  const normalized = norm(g, options, "x", "input_layernorm");
  const heads = (projection: LlamaLinear, count: number) => {
    const flat = linear(normalized, projection, [H, count * D]);
    return g.view(flat, `${projection}.heads`, ["B", S, count, D]);
  };
  // What a cache holds is f32.
  const attending = options.cache === null ? activation : "f32";
  const q = rotate(g, heads("q_proj", N), "q", ["B", S, N, D], attending);
  const k = rotate(g, heads("k_proj", G), "k", ["B", S, G, D], attending);
  const v = rounded(g, heads("v_proj", G), "v", attending);
  const o = g.value("o", ["B", S, N, D], activation);
  if (options.cache === null) attendWithinSegments(g, { q, k, v, o }, options);
  else attendOverCache(g, { q, k, v, o }, options, options.cache);
  const attended = linear(g.view(o, "o.flat", ["B", S, N * D]), "o_proj", [N * D, H]);
  g.value("middle", ["B", S, H], "f32");
  g.call("add", { a: "x", b: attended, y: "middle" });
  g.stage("attention", "middle");

  const normalizedMiddle = norm(g, options, "middle", "post_attention_layernorm");
  const gate = linear(normalizedMiddle, "gate_proj", [H, F]);
  const up = linear(normalizedMiddle, "up_proj", [H, F]);
  g.value("activated", ["B", S, F], activation);
  g.call("swiglu", { gate, up, y: "activated" });
  const down = linear("activated", "down_proj", [F, H]);
  g.value("y", ["B", S, H], "f32", { origin: { kind: "input" } });
  g.call("add", { a: "middle", b: down, y: "y" });
  g.stage("mlp", "y");
  return g.finish();
}

type AttentionValues = Readonly<Record<"q" | "k" | "v" | "o", string>>;

function attendWithinSegments(
  g: GraphBuilder,
  { q, k, v, o }: AttentionValues,
  { config: { heads: N, headDim: D }, sequenceLength: S }: LlamaGraphOptions,
): void {
  g.value("segment_start", ["B", S], "i32", { origin: { kind: "input" } });
  g.value("log_sum_exp", ["B", N, S], "f32");
  g.call(
    "attention",
    { q, k, v, segment_start: "segment_start", o, log_sum_exp: "log_sum_exp" },
    { scale: attentionScale(D) },
  );
}

/** Appends keys and values to `k_cache` and `v_cache` [B,C,G,D], and attends over all that they hold then. */
function attendOverCache(
  g: GraphBuilder,
  { q, k, v, o }: AttentionValues,
  { config: { keyValueHeads: G, headDim: D } }: LlamaGraphOptions,
  capacity: number,
): void {
  const lengths = stepLengths(g);
  for (const [rows, cache] of [
    [k, "k_cache"],
    [v, "v_cache"],
  ] as const) {
    g.value(cache, ["B", capacity, G, D], "f32", { origin: { kind: "input" } });
    g.call("cache_append", { rows, ...lengths, cache });
  }
  g.call("attention_cached", { q, k: "k_cache", v: "v_cache", ...lengths, o }, { scale: attentionScale(D) });
}

/** Step inputs of generation, [B,1] each: positions before the run, and positions of it. */
function stepLengths(g: GraphBuilder): {
  readonly kv_length: "kv_length";
  readonly new_tokens: "new_tokens";
} {
  for (const name of ["kv_length", "new_tokens"]) {
    g.value(name, ["B", 1], "i32", { origin: { kind: "input" } });
  }
  return { kv_length: "kv_length", new_tokens: "new_tokens" };
}

function attentionScale(headDim: number): number {
  return Math.fround(1 / Math.sqrt(headDim));
}

/** Rope tables of a step: `positions` [B,S] → `cosine`, `sine` [B,S,D/2]. */
export function llamaTables(config: LlamaConfig, sequenceLength: number): Graph {
  const S = sequenceLength;
  const P = config.headDim / 2;
  const g = new GraphBuilder();
  g.value("positions", ["B", S], "i32", { origin: { kind: "input" } });
  g.value("inverse_frequencies", [P], "f32", { origin: { kind: "input" } });
  g.value("cosine", ["B", S, P], "f32", { origin: { kind: "input" } });
  g.value("sine", ["B", S, P], "f32", { origin: { kind: "input" } });
  g.call("rope_table", {
    positions: "positions",
    inverse_frequencies: "inverse_frequencies",
    cosine: "cosine",
    sine: "sine",
  });
  return g.finish();
}

/** The final norm: `x` [B,S,H] → `y` [B,S,H] in the activation dtype. */
export function llamaNorm(options: NormOptions): Graph {
  const g = new GraphBuilder();
  g.value("x", ["B", options.sequenceLength, options.config.hiddenSize], "f32", {
    origin: { kind: "input" },
  });
  finalNorm(g, options, "x", options.sequenceLength);
  return g.finish();
}

/** The final norm of the last new position alone: `x` [B,S,H] → `y` [B,1,H] in the activation dtype. */
export function llamaLastNorm(options: NormOptions): Graph {
  const { config, sequenceLength: S } = options;
  const g = new GraphBuilder();
  g.value("x", ["B", S, config.hiddenSize], "f32", { origin: { kind: "input" } });
  g.value("new_tokens", ["B", 1], "i32", { origin: { kind: "input" } });
  const last = g.value("last", ["B", 1, config.hiddenSize], "f32");
  g.call("last_row", { x: "x", new_tokens: "new_tokens", y: last });
  finalNorm(g, options, last, 1);
  return g.finish();
}

type NormOptions = Omit<LlamaGraphOptions, "lora" | "cache">;

function finalNorm(
  g: GraphBuilder,
  { config, numerics, storage }: NormOptions,
  x: string,
  rows: number,
): void {
  g.value("norm", [config.hiddenSize], storage.norm!, { origin: { kind: "weight" } });
  g.value("y", ["B", rows, config.hiddenSize], numerics.activation, { origin: { kind: "input" } });
  g.call("rms_norm", { x, weight: "norm", y: "y" }, { epsilon: config.rmsNormEps });
}

function norm(g: GraphBuilder, options: LlamaGraphOptions, x: string, weight: string): string {
  const { config, numerics, storage } = options;
  g.value(weight, [config.hiddenSize], storage[weight]!, { origin: { kind: "weight" } });
  const y = g.value(`${weight}.y`, g.get(x).shape, numerics.activation);
  g.call("rms_norm", { x, weight, y }, { epsilon: config.rmsNormEps });
  return y;
}

function rotate(
  g: GraphBuilder,
  x: string,
  y: string,
  shape: readonly (number | "B")[],
  dtype: DType,
): string {
  g.value(y, shape, dtype);
  g.call("rope", { x, cosine: "cosine", sine: "sine", y }, { direction: 1 });
  return y;
}

/** `x` in another dtype; itself where it has that already. */
function rounded(g: GraphBuilder, x: string, y: string, dtype: DType): string {
  const { shape, dtype: given, gradient } = g.get(x);
  if (given === dtype) return x;
  g.value(y, shape, dtype, { gradient });
  g.call("convert", { x, y });
  return y;
}

/** Returns a function that adds one linear, with its LoRA branch where the layer has one. */
function linearBuilder(g: GraphBuilder, { sequenceLength: S, numerics, storage, lora }: LlamaGraphOptions) {
  const { activation, row_tile, column_tile, f16_factors } = numerics;
  const product = { row_tile, column_tile, f16_factors };
  return (x: string, name: LlamaLinear, [inputs, outputs]: readonly [number, number]): string => {
    const adapted = lora.get(name);
    g.value(name, [outputs, inputs], storage[name]!, { origin: { kind: "weight" } });
    const y = g.value(`${name}.y`, ["B", S, outputs], "f32", { gradient: activation });
    g.call("linear", { x, w: name, y }, { alpha: 1, ...product });
    if (adapted !== undefined) {
      const { rank, scaling } = adapted;
      const a = g.value(`${name}.lora_A`, [rank, inputs], "f32", { origin: { kind: "parameter" } });
      const b = g.value(`${name}.lora_B`, [outputs, rank], "f32", { origin: { kind: "parameter" } });
      const low = g.value(`${name}.low`, ["B", S, rank], activation, { gradient: activation });
      g.call("linear", { x, w: a, y: low }, { alpha: 1, ...product });
      g.call("linear", { x: low, w: b, y: { add: y } }, { alpha: Math.fround(scaling), ...product });
    }
    return y;
  };
}
