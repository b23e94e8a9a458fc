/**
 * config.json of the Llama family (Llama 1–3, TinyLlama, SmolLM, Mistral without an effective window) → LlamaConfig.
 *
 * No field is ignored by accident. A field is either read here, must hold the one value that changes nothing
 * (`NEUTRAL`), or is on the list of fields that never touch the mathematics (`HARMLESS`). Anything else is an error
 * when its name sounds mathematical and its value is not empty, and a warning otherwise.
 */
import { type Diagnostic, diagnostic, exitCodeOf } from "../schemas/diagnostic.ts";
import { FieldReader, type JsonObject } from "./field-reader.ts";
import { type Rope, readRope } from "./rope.ts";
import type { PlainJson } from "./strict-json.ts";

export interface LlamaConfig {
  readonly family: "llama" | "mistral";
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Grouped-query attention when fewer than `heads`; divides `heads`. */
  readonly keyValueHeads: number;
  /** Even; not necessarily hiddenSize / heads. */
  readonly headDim: number;
  readonly vocabSize: number;
  readonly rmsNormEps: number;
  readonly rope: Rope;
  /** The longest sequence the model was made for. */
  readonly maxPositions: number;
  /** The output projection is the embedding matrix. */
  readonly tiedEmbeddings: boolean;
  /** Positions a token sees, itself included; null: all before it. */
  readonly slidingWindow: number | null;
}

export interface ReadLlamaConfig {
  /** Present exactly when no diagnostic is an error. */
  readonly config?: LlamaConfig;
  readonly diagnostics: readonly Diagnostic[];
}

/** Absent fields mean what Transformers' LlamaConfig and MistralConfig say they mean. */
const FAMILIES = {
  llama: { architecture: "LlamaForCausalLM", maxPositions: 2048, keyValueHeads: null, slidingWindow: null },
  mistral: {
    architecture: "MistralForCausalLM",
    maxPositions: 131072,
    keyValueHeads: 8,
    slidingWindow: 4096,
  },
} as const;

/** Fields that change the mathematics, except with one of these values. */
const NEUTRAL: Readonly<Record<string, readonly PlainJson[]>> = {
  attention_bias: [false, null],
  attention_dropout: [0, null],
  chunk_size_feed_forward: [0],
  hidden_act: ["silu", "swish"],
  is_encoder_decoder: [false],
  mlp_bias: [false, null],
  original_max_position_embeddings: [null],
  partial_rotary_factor: [1, null],
  quantization_config: [null],
  rope_interleaved: [false],
};

/** Fields that say how to store, load, label or sample, and nothing about the forward pass of training. */
const HARMLESS: ReadonlySet<string> = new Set([
  ...[
    "_name_or_path",
    "dtype",
    "initializer_range",
    "is_llama_config",
    "is_mistral_config",
    "pretraining_tp",
  ],
  ...["tokenizer_class", "torch_dtype", "transformers.js_config", "transformers_version", "unsloth_fixed"],
  ...["unsloth_version", "use_cache"],
  ...[
    "bos_token_id",
    "decoder_start_token_id",
    "eos_token_id",
    "pad_token_id",
    "sep_token_id",
    "unk_token_id",
  ],
  ...["finetuning_task", "id2label", "label2id", "problem_type", "task_specific_params"],
  ...["output_attentions", "output_hidden_states", "return_dict", "return_dict_in_generate", "output_scores"],
  ...[
    "bad_words_ids",
    "begin_suppress_tokens",
    "do_sample",
    "early_stopping",
    "length_penalty",
    "max_length",
  ],
  ...["min_length", "no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_return_sequences", "prefix"],
  ...["repetition_penalty", "suppress_tokens", "temperature", "top_k", "top_p", "typical_p"],
]);

/** Fields that `readLlamaConfig` itself reads. */
const READ: ReadonlySet<string> = new Set([
  ...["model_type", "architectures", "hidden_size", "intermediate_size", "num_hidden_layers", "vocab_size"],
  ...["num_attention_heads", "num_key_value_heads", "head_dim", "rms_norm_eps", "max_position_embeddings"],
  ...["tie_word_embeddings", "sliding_window", "rope_theta", "rope_scaling", "rope_parameters"],
]);

const SOUNDS_MATHEMATICAL =
  /act|alibi|attn|attention|bias|clip|dropout|embed|expert|ffn|gate|head|hidden|layer|logit|mlp|mup|multiplier|norm|position|quant|residual|rope|rotary|scal|softcap|window/;

/** Reads config.json; `file` is its name in diagnostics. All problems at once. */
export function readLlamaConfig(raw: JsonObject, file = "config.json"): ReadLlamaConfig {
  const fields = new FieldReader(raw, { file, invalid: "model.invalid-value" });
  const family = fields.raw.model_type;
  if (family !== "llama" && family !== "mistral") {
    const hint = "lema trains models of type `llama` and `mistral`";
    fields.problem(
      "model.unsupported-family",
      "model_type",
      `${JSON.stringify(family)} is not supported`,
      hint,
    );
    return { diagnostics: fields.diagnostics };
  }
  const defaults = FAMILIES[family];
  checkOtherFields(fields, defaults.architecture);

  const hiddenSize = fields.count("hidden_size");
  const heads = fields.count("num_attention_heads");
  const window = fields.has("sliding_window") ? fields.raw.sliding_window : defaults.slidingWindow;
  const config: LlamaConfig = {
    family,
    hiddenSize,
    intermediateSize: fields.count("intermediate_size"),
    layers: layerCount(fields),
    heads,
    keyValueHeads: fields.count("num_key_value_heads", defaults.keyValueHeads ?? heads),
    headDim: fields.count("head_dim", Math.floor(hiddenSize / heads)),
    vocabSize: fields.count("vocab_size"),
    rmsNormEps: fields.positive("rms_norm_eps", 1e-6),
    maxPositions: fields.count("max_position_embeddings", defaults.maxPositions),
    tiedEmbeddings: fields.flag("tie_word_embeddings", false),
    slidingWindow:
      window === null ? null : fields.count("sliding_window", defaults.slidingWindow ?? undefined),
    rope: readRope(fields),
  };
  // Relations between fields mean something only when each field is right.
  if (exitCodeOf(fields.diagnostics) === 0) checkHeads(config, fields);
  if (exitCodeOf(fields.diagnostics) !== 0) return { diagnostics: fields.diagnostics };
  return { config, diagnostics: fields.diagnostics };
}

/**
 * Whether the model can train on sequences of `length` tokens: a sliding window that is shorter would have to mask,
 * which lema does not compute; positions beyond the trained range are only a warning.
 */
export function checkSequenceLength(config: LlamaConfig, length: number): Diagnostic[] {
  const { slidingWindow, maxPositions } = config;
  const where = { file: "recipe", path: "sequence.length" };
  if (slidingWindow !== null && length > slidingWindow) {
    return [
      diagnostic("model.sequence-too-long", {
        summary: `the model attends to ${slidingWindow} tokens (sliding_window), and the sequence has ${length}`,
        where,
        hint: `set sequence.length to at most ${slidingWindow}`,
      }),
    ];
  }
  if (length <= maxPositions) return [];
  return [
    diagnostic("model.sequence-too-long", {
      severity: "warning",
      summary: `the model was made for ${maxPositions} positions, and the sequence has ${length}`,
      where,
      hint: `set sequence.length to at most ${maxPositions}, or train longer on purpose`,
    }),
  ];
}

/** Far more than any model has; a slip of the keyboard there would otherwise be planned for hours. */
const MAX_LAYERS = 4096;

function layerCount(fields: FieldReader): number {
  const layers = fields.count("num_hidden_layers");
  if (layers <= MAX_LAYERS) return layers;
  fields.invalid("num_hidden_layers", `${layers} is more than ${MAX_LAYERS}`);
  return 1;
}

function checkOtherFields(fields: FieldReader, architecture: string): void {
  const { architectures } = fields.raw;
  if (Array.isArray(architectures) && architectures.length > 0 && !architectures.includes(architecture)) {
    const hint = `lema trains ${architecture}`;
    fields.problem("model.unsupported-family", "architectures", `has no ${architecture}`, hint);
  }
  for (const [name, value] of Object.entries(fields.raw)) {
    if (READ.has(name) || HARMLESS.has(name)) continue;
    const neutral = Object.hasOwn(NEUTRAL, name) ? NEUTRAL[name] : undefined;
    if (neutral?.includes(value)) continue;
    if (neutral === undefined && isEmpty(value)) continue;
    const shown = JSON.stringify(value);
    if (neutral !== undefined || SOUNDS_MATHEMATICAL.test(name.toLowerCase())) {
      const hint =
        neutral === undefined
          ? "lema does not know this field; training without it could be wrong"
          : `lema computes only ${neutral.map((item) => JSON.stringify(item)).join(" or ")}`;
      fields.problem("model.unsupported-feature", name, `${shown} is not supported`, hint);
    } else {
      fields.warn("model.unknown-field", name, `${shown} is not known and is ignored`);
    }
  }
}

function checkHeads({ heads, keyValueHeads, headDim }: LlamaConfig, fields: FieldReader): void {
  if (heads % keyValueHeads !== 0) {
    const hint = "query heads must divide evenly among key/value heads";
    fields.problem(
      "model.invalid-value",
      "num_key_value_heads",
      `${keyValueHeads} does not divide ${heads}`,
      hint,
    );
  }
  if (headDim % 2 !== 0 || headDim === 0) {
    const hint = "rotary embeddings rotate pairs";
    fields.problem("model.invalid-value", "head_dim", `${headDim} is not a positive even number`, hint);
  }
}

/** A value that switches nothing on. */
function isEmpty(value: PlainJson): boolean {
  if (value === null || value === false || value === 0 || value === "") return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}
