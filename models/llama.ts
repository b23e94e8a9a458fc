/**
 * The Llama family's tensors: which names and shapes a checkpoint must hold. The config is read in llama-config.ts,
 * the block as ops is in llama-graph.ts.
 */
import { type Diagnostic, type DiagnosticCode, diagnostic } from "../schemas/diagnostic.ts";
import type { DType } from "../schemas/ops/define-op.ts";
import { isPadding } from "./aligned-layout.ts";
import type { LlamaConfig } from "./llama-config.ts";
import type { SafetensorsDType } from "./safetensors.ts";

export { checkSequenceLength, type LlamaConfig, readLlamaConfig } from "./llama-config.ts";
export { ropeInverseFrequencies } from "./rope.ts";

export interface ModelTensor {
  /** Name in the checkpoint. */
  readonly name: string;
  readonly shape: readonly number[];
}

/** The linear layers of a block, which LoRA may target; in the order in which a block computes them. */
export const LLAMA_LINEARS = [
  "q_proj",
  "k_proj",
  "v_proj",
  "o_proj",
  "gate_proj",
  "up_proj",
  "down_proj",
] as const;
export type LlamaLinear = (typeof LLAMA_LINEARS)[number];

export type LlamaLocal = "input_layernorm" | "post_attention_layernorm" | LlamaLinear;

const ATTENTION_LINEARS: ReadonlySet<string> = new Set(["q_proj", "k_proj", "v_proj", "o_proj"]);

/** Dtypes of weights that lema reads, in safetensors' words and ours. */
const STORAGE: Partial<Record<SafetensorsDType, DType>> = { F32: "f32", F16: "f16", BF16: "bf16" };

/** `q_proj` → `self_attn.q_proj`: the module's path inside its layer. */
export function llamaModulePath(linear: LlamaLinear): string {
  return `${ATTENTION_LINEARS.has(linear) ? "self_attn" : "mlp"}.${linear}`;
}

/** [outputs, inputs] of each linear, as PyTorch stores them. */
export function llamaLinearShapes(
  config: LlamaConfig,
): Readonly<Record<LlamaLinear, readonly [number, number]>> {
  const { hiddenSize: hidden, intermediateSize: intermediate, heads, keyValueHeads, headDim } = config;
  return {
    q_proj: [heads * headDim, hidden],
    k_proj: [keyValueHeads * headDim, hidden],
    v_proj: [keyValueHeads * headDim, hidden],
    o_proj: [hidden, heads * headDim],
    gate_proj: [intermediate, hidden],
    up_proj: [intermediate, hidden],
    down_proj: [hidden, intermediate],
  };
}

/** The tensors of layer `layer` by their local names. */
export function llamaTensors(config: LlamaConfig, layer: number): Readonly<Record<LlamaLocal, ModelTensor>> {
  const prefix = `model.layers.${layer}`;
  const shapes = llamaLinearShapes(config);
  const linear = (local: LlamaLinear): ModelTensor => ({
    name: `${prefix}.${llamaModulePath(local)}.weight`,
    shape: shapes[local],
  });
  const norm = (local: string): ModelTensor => ({
    name: `${prefix}.${local}.weight`,
    shape: [config.hiddenSize],
  });
  return {
    input_layernorm: norm("input_layernorm"),
    q_proj: linear("q_proj"),
    k_proj: linear("k_proj"),
    v_proj: linear("v_proj"),
    o_proj: linear("o_proj"),
    post_attention_layernorm: norm("post_attention_layernorm"),
    gate_proj: linear("gate_proj"),
    up_proj: linear("up_proj"),
    down_proj: linear("down_proj"),
  };
}

/** The tensors outside the layers. With tied embeddings `head` is the embedding. */
export function llamaOuterTensors(
  config: LlamaConfig,
): Readonly<Record<"embedding" | "norm" | "head", ModelTensor>> {
  const matrix = [config.vocabSize, config.hiddenSize];
  const embedding = { name: "model.embed_tokens.weight", shape: matrix };
  return {
    embedding,
    norm: { name: "model.norm.weight", shape: [config.hiddenSize] },
    head: config.tiedEmbeddings ? embedding : { name: "lm_head.weight", shape: matrix },
  };
}

/** Every tensor of the model, each once. */
export function allLlamaTensors(config: LlamaConfig): ModelTensor[] {
  const { embedding, norm, head } = llamaOuterTensors(config);
  const layers = Array.from({ length: config.layers }, (_, layer) =>
    Object.values(llamaTensors(config, layer)),
  );
  return [embedding, ...layers.flat(), norm, ...(config.tiedEmbeddings ? [] : [head])];
}

/** The dtype that a weight is stored in, or undefined when lema does not read it. */
export function storageDType(dtype: SafetensorsDType): DType | undefined {
  return STORAGE[dtype];
}

/** What the checker needs of a checkpoint. */
export interface TensorTable {
  readonly tensors: ReadonlyMap<
    string,
    { readonly dtype: SafetensorsDType; readonly shape: readonly number[]; readonly file: string }
  >;
}

/**
 * Whether the checkpoint holds every tensor of the model in the right shape and a dtype that lema reads. Tensors that
 * the model does not use are one warning; the `rotary_emb.inv_freq` buffers of old checkpoints, which the config
 * determines, and the padding of prepared files are not even that.
 */
export function checkLlamaTensors({ tensors }: TensorTable, config: LlamaConfig): Diagnostic[] {
  const expected = allLlamaTensors(config);
  const missing: Fault[] = [];
  const misshapen: Fault[] = [];
  const unreadable: Fault[] = [];
  for (const { name, shape } of expected) {
    const found = tensors.get(name);
    if (!found) {
      missing.push({ what: name });
      continue;
    }
    const { file, dtype } = found;
    const [given, wanted] = [found.shape.join(", "), shape.join(", ")];
    if (given !== wanted) misshapen.push({ what: `${name} is [${given}] instead of [${wanted}]`, file });
    if (storageDType(dtype) === undefined) unreadable.push({ what: `${name} is ${dtype}`, file });
  }
  const untied =
    missing.some(({ what }) => what === "lm_head.weight") && tensors.has("model.embed_tokens.weight");
  const diagnostics = [
    ...problem(
      "weights.missing-tensor",
      "missing from the checkpoint",
      missing,
      untied ? UNTIED_HINT : INCOMPLETE_HINT,
    ),
    ...problem("weights.wrong-shape", "not of the shape that config.json implies", misshapen, MISMATCH_HINT),
    ...problem("weights.unsupported-dtype", "of a dtype that lema does not read", unreadable, DTYPE_HINT),
  ];
  const names = new Set(expected.map(({ name }) => name));
  const unexpected = [...tensors.keys()].filter(
    (name) => !names.has(name) && !name.endsWith(".rotary_emb.inv_freq") && !isPadding(name),
  );
  if (unexpected.length > 0) {
    diagnostics.push(
      diagnostic("weights.unexpected-tensor", {
        severity: "warning",
        summary: `${unexpected.length} tensor(s) of the checkpoint are not part of the model and are ignored`,
        detail: shortList(unexpected, ", "),
      }),
    );
  }
  return diagnostics;
}

const INCOMPLETE_HINT = "the checkpoint is incomplete, or config.json belongs to another model";
const UNTIED_HINT = "if the model ties its embeddings, config.json must say tie_word_embeddings: true";
const MISMATCH_HINT = "weights and config.json belong to different models, or one of them was edited";
const DTYPE_HINT = `lema reads ${Object.keys(STORAGE).join(", ")}; convert the checkpoint to one of them`;

interface Fault {
  readonly what: string;
  readonly file?: string;
}

/** One diagnostic for all tensors with the same fault: another model's weights have it hundreds of times. */
function problem(code: DiagnosticCode, kind: string, faults: readonly Fault[], hint: string): Diagnostic[] {
  const [first, ...others] = faults;
  if (first === undefined) return [];
  const count = others.length === 0 ? "a tensor is" : `${faults.length} tensors are`;
  const names = faults.map(({ what }) => what);
  return [
    diagnostic(code, {
      summary: `${count} ${kind}${others.length === 0 ? `: ${first.what}` : ""}`,
      ...(others.length === 0 ? {} : { detail: shortList(names, "\n") }),
      ...(first.file === undefined ? {} : { where: { file: first.file } }),
      hint,
    }),
  ];
}

/** Names shown of what may be a long list. */
const SHOWN = 8;

function shortList(items: readonly string[], separator: string): string {
  const rest = items.length - SHOWN;
  return items.slice(0, SHOWN).join(separator) + (rest > 0 ? `${separator}… and ${rest} more` : "");
}
