/**
 * Everything the planner knows: plain data that `models/` and `data/` read from files, so that planning itself touches
 * no file, no clock and no environment. Same `Inputs`, same plan bytes.
 */
import type { Graph } from "./graph.ts";
import type { HardwareProfile } from "./hardware.ts";
import type { DType } from "./ops/define-op.ts";
import type { Recipe } from "./recipe.ts";

/** A file of weights, by its name relative to the model's directory. */
export interface InputFile {
  readonly id: string;
  readonly path: string;
  readonly bytes: number;
  /** `sha256:…`; null in a dry run. */
  readonly digest: string | null;
}

export interface InputTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly storage: DType;
  readonly file: string;
  /** Absolute byte position in the file. */
  readonly offset: number;
  readonly bytes: number;
  readonly digest: string | null;
}

/** A LoRA factor of one block. */
export interface ParameterDescription {
  /** Name inside the block's graph, such as `q_proj.lora_A`. */
  readonly local: string;
  /** PEFT's name in adapter_model.safetensors. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: "kaiming-uniform" | "zeros";
}

/** One layer, or one stage of it: which graph it runs and which tensors the graph's weights are. */
export interface BlockDescription {
  readonly layer: number;
  /** Name of the stage when the layer is cut into several. */
  readonly stage: string | null;
  /** Index into `ModelDescription.graphs`. */
  readonly graph: number;
  /** Local weight name → tensor name, in the order of the checkpoint's file. */
  readonly weights: Readonly<Record<string, string>>;
  readonly parameters: readonly ParameterDescription[];
}

/** What a step of a fixed number of positions computes. */
export interface StepGraphs {
  /** Positions of a sequence in one step, S. */
  readonly rows: number;
  readonly tables: Graph;
  /** Of the blocks, in the order of `ModelDescription.graphs`. */
  readonly graphs: readonly Graph[];
  readonly norm: Graph;
}

/**
 * A decoder as the planner sees it. Graph conventions: a block reads `x` [B,S,H] and writes `y` [B,S,H]; `tables`
 * writes what blocks share within a step (rope tables); the norm reads `x` and writes `y` in the activation dtype.
 * Inputs named like a step input (`positions`, `segment_start`) or a constant are bound by that name.
 *
 * The graphs are those of a training's micro-batch; of a generation's decode step, where blocks also read and write
 * `k_cache` and `v_cache` [B,C,G,D], and the norm takes the last new position alone: `y` [B,1,H].
 */
export interface ModelDescription {
  readonly family: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly hidden: number;
  readonly vocabulary: number;
  readonly constants: Readonly<Record<string, readonly number[]>>;
  readonly tables: Graph;
  readonly graphs: readonly Graph[];
  readonly blocks: readonly BlockDescription[];
  readonly embedding: string;
  readonly norm: { readonly graph: Graph; readonly weights: Readonly<Record<string, string>> };
  readonly head: string;
  readonly tensors: readonly InputTensor[];
  readonly files: readonly InputFile[];
  /** Null in a training. */
  readonly generation: {
    /** Positions that the caches have room for, C. */
    readonly capacity: number;
    /** Prefill steps that a plan may choose from, the longest first. */
    readonly prefills: readonly StepGraphs[];
  } | null;
}

/** What fixes bits; a function of model, sequence length and precision only. */
export interface Numerics {
  readonly precision: "f32" | "bf16" | "fp16";
  readonly activation: "f32" | "bf16";
  /** 1: products may round f32 factors to f16. */
  readonly f16_factors: 0 | 1;
  readonly row_tile: number;
  readonly column_tile: number;
  readonly vocabulary_tile: number;
}

export interface DatasetDescription {
  /** `sha256:…` over data, tokenizer, template and options. */
  readonly digest: string;
  readonly train_rows: number;
  readonly validation_rows: number;
  readonly supervised_tokens: number;
  /** Over the training's rows: positions and positions of their segment up to them. */
  readonly attended_pairs: number;
}

/** What any plan is made from. */
export interface CommonInputs {
  readonly recipe: { readonly memory: Recipe["memory"] };
  readonly hardware: HardwareProfile;
  readonly model: ModelDescription;
  readonly numerics: Numerics;
  /** LoRA settings after `adapter.from` has been read. */
  readonly adapter: {
    readonly rank: number;
    readonly alpha: number;
    readonly rslora: boolean;
    readonly targets: readonly string[];
    /** Other ranks and alphas, by regular expression over module paths. */
    readonly rank_pattern: readonly (readonly [pattern: string, rank: number])[];
    readonly alpha_pattern: readonly (readonly [pattern: string, alpha: number])[];
    /** `base_model_name_or_path` of adapter_config.json. */
    readonly base_model: string;
    /** Digest of the adapter that training starts from. */
    readonly from: string | null;
  };
  readonly lema_version: string;
  /** Hash of the op table. */
  readonly op_table: string;
  /** False for --dry-run. */
  readonly executable: boolean;
}

/** Of a fine-tune. */
export interface Inputs extends CommonInputs {
  readonly recipe: Recipe;
  /** Null in a dry run without a dataset. */
  readonly dataset: DatasetDescription | null;
  readonly tokenizer: string | null;
}

/** What is asked of a generation, in the words of a recipe. */
export interface GenerationRecipe {
  readonly model: string;
  /** Directory of a PEFT adapter that is applied unmerged. */
  readonly adapter: { readonly from: string | null };
  /** `length`: positions that the caches have room for. */
  readonly sequence: { readonly length: number };
  readonly memory: Recipe["memory"];
  readonly hardware: string;
}

/** Of a generation; its model has graphs for one. */
export interface GenerationInputs extends CommonInputs {
  readonly recipe: GenerationRecipe;
}

/** The numerics of a model at a sequence length and precision: tiles are constants so that nothing else can move bits. */
export function numericsFor(
  precision: Numerics["precision"],
  sequenceLength: number,
  vocabulary: number,
): Numerics {
  return {
    precision,
    // bf16 products take bf16 operands. In fp16 activations are f32: a product rounds them where its device has units for it.
    activation: precision === "bf16" ? "bf16" : "f32",
    f16_factors: precision === "fp16" ? 1 : 0,
    row_tile: Math.min(sequenceLength, 512),
    column_tile: 512,
    vocabulary_tile: Math.min(vocabulary, 1024),
  };
}
