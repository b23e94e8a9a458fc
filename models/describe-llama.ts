/**
 * A Llama as the planner sees it: the tensors it uses, its graphs, and which of them each layer runs. Layers whose
 * weights are stored in different dtypes run different graphs.
 */
import { invariant } from "../schemas/diagnostic.ts";
import type { Graph } from "../schemas/graph.ts";
import type {
  BlockDescription,
  InputFile,
  InputTensor,
  ModelDescription,
  Numerics,
} from "../schemas/inputs.ts";
import type { DType } from "../schemas/ops/define-op.ts";
import type { JsonObject } from "./field-reader.ts";
import {
  allLlamaTensors,
  type LlamaConfig,
  type LlamaLinear,
  llamaOuterTensors,
  llamaTensors,
  ropeInverseFrequencies,
  storageDType,
} from "./llama.ts";
import { llamaBlock, llamaNorm, llamaTables } from "./llama-graph.ts";
import { type LoraSettings, loraParameters, loraScaling } from "./lora.ts";
import type { SafetensorsDType } from "./safetensors.ts";

export interface DescribeOptions {
  readonly config: LlamaConfig;
  /** config.json as it stands. */
  readonly rawConfig: JsonObject;
  readonly sequenceLength: number;
  readonly numerics: Numerics;
  readonly lora: LoraSettings & { readonly targets: readonly LlamaLinear[] };
  readonly files: readonly InputFile[];
  readonly tensors: ReadonlyMap<
    string,
    { file: string; offset: number; bytes: number; shape: readonly number[]; dtype: SafetensorsDType }
  >;
  /** Tensor name → digest; null in a dry run. */
  readonly digests: ReadonlyMap<string, string> | null;
}

/** Requires that `checkLlamaTensors` found nothing. */
export function describeLlama(options: DescribeOptions): ModelDescription {
  const { config, sequenceLength, numerics, lora } = options;
  const tensors = allLlamaTensors(config).map(({ name }) => describeTensor(name, options));
  const storage = new Map(tensors.map((tensor) => [tensor.name, tensor.storage]));
  const { embedding, norm, head } = llamaOuterTensors(config);
  const graphs: Graph[] = [];
  const graphOf = new Map<string, number>();
  const blocks = Array.from({ length: config.layers }, (_, layer): BlockDescription => {
    const weights = Object.fromEntries(
      Object.entries(llamaTensors(config, layer)).map(([local, { name }]) => [local, name]),
    );
    const dtypes = Object.fromEntries(
      Object.entries(weights).map(([local, name]) => [local, storage.get(name)!]),
    );
    const key = JSON.stringify(dtypes);
    let graph = graphOf.get(key);
    if (graph === undefined) {
      graph = graphs.length;
      graphOf.set(key, graph);
      const targets = new Set<string>(lora.targets);
      const shape = { rank: lora.rank, scaling: loraScaling(lora), targets };
      graphs.push(
        llamaBlock({ config, sequenceLength, numerics, storage: dtypes, lora: shape, cache: null }),
      );
    }
    return { layer, stage: null, graph, weights, parameters: loraParameters(config, layer, lora) };
  });
  const normStorage: Record<string, DType> = { norm: storage.get(norm.name)! };
  return {
    family: config.family,
    config: options.rawConfig,
    hidden: config.hiddenSize,
    vocabulary: config.vocabSize,
    constants: { inverse_frequencies: [...ropeInverseFrequencies(config)] },
    tables: llamaTables(config, sequenceLength),
    graphs,
    blocks,
    embedding: embedding.name,
    norm: {
      graph: llamaNorm({ config, sequenceLength, numerics, storage: normStorage }),
      weights: { norm: norm.name },
    },
    head: head.name,
    tensors,
    files: options.files,
  };
}

function describeTensor(name: string, { tensors, digests }: DescribeOptions): InputTensor {
  const tensor = tensors.get(name);
  invariant(tensor, `tensor ${name} was not checked`);
  const storage = storageDType(tensor.dtype);
  invariant(storage, `tensor ${name} has an unchecked dtype`);
  const { shape, file, offset, bytes } = tensor;
  return { name, shape, storage, file, offset, bytes, digest: digests?.get(name) ?? null };
}
