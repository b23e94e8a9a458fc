/**
 * A Llama as the planner sees it: the tensors it uses, its graphs, and which of them each layer runs. Layers
 * that are stored or adapted differently run different graphs.
 */
import { invariant } from "../schemas/diagnostic.ts";
import type {
  BlockDescription,
  InputFile,
  InputTensor,
  ModelDescription,
  Numerics,
  StepGraphs,
} from "../schemas/inputs.ts";
import type { DType } from "../schemas/ops/define-op.ts";
import type { JsonObject } from "./field-reader.ts";
import {
  allLlamaTensors,
  type LlamaConfig,
  llamaOuterTensors,
  llamaTensors,
  ropeInverseFrequencies,
  storageDType,
} from "./llama.ts";
import { llamaBlock, llamaLastNorm, llamaNorm, llamaTables } from "./llama-graph.ts";
import { type LayerLora, loraParameters } from "./lora.ts";
import type { SafetensorsDType } from "./safetensors.ts";

export interface DescribeOptions {
  readonly config: LlamaConfig;
  /** config.json as it stands. */
  readonly rawConfig: JsonObject;
  readonly numerics: Numerics;
  /** Of each layer. */
  readonly lora: readonly LayerLora[];
  readonly files: readonly InputFile[];
  readonly tensors: ReadonlyMap<
    string,
    { file: string; offset: number; bytes: number; shape: readonly number[]; dtype: SafetensorsDType }
  >;
  /** Tensor name → digest; null in a dry run. */
  readonly digests: ReadonlyMap<string, string> | null;
}

/** The model of a training. Requires that `checkLlamaTensors` found nothing. */
export function describeLlama(
  options: DescribeOptions & { readonly sequenceLength: number },
): ModelDescription {
  return describe(options, (graphs) => ({ step: graphs(options.sequenceLength, null), generation: null }));
}

/** The model of a generation with room for `capacity` positions; where no layer is adapted it has no adapter. Requires that `checkLlamaTensors` found nothing. */
export function describeLlamaGeneration(
  options: DescribeOptions & { readonly capacity: number },
): ModelDescription {
  const { capacity } = options;
  return describe(options, (graphs) => {
    const prefills = PREFILL_ROWS.filter((rows) => rows <= capacity).map((rows) => graphs(rows, capacity));
    return { step: graphs(1, capacity), generation: { capacity, prefills } };
  });
}

/** Positions of a prefill step: more of them read the weights less often, and need room for their activations. */
const PREFILL_ROWS = [256, 64, 16, 4, 1];

/** Graphs for a number of positions, and room in a cache or none. */
type GraphsFor = (rows: number, cache: number | null) => StepGraphs;

function describe(
  options: DescribeOptions,
  choose: (graphs: GraphsFor) => { step: StepGraphs; generation: ModelDescription["generation"] },
): ModelDescription {
  const { config, numerics, lora } = options;
  const tensors = allLlamaTensors(config).map(({ name }) => describeTensor(name, options));
  const storage = new Map(tensors.map((tensor) => [tensor.name, tensor.storage]));
  const { embedding, norm, head } = llamaOuterTensors(config);
  /** Storage dtypes of the weights of each graph, and what is adapted in it. */
  const kinds: { readonly storage: Record<string, DType>; readonly lora: LayerLora }[] = [];
  const graphOf = new Map<string, number>();
  const blocks = Array.from({ length: config.layers }, (_, layer): BlockDescription => {
    const weights = Object.fromEntries(
      Object.entries(llamaTensors(config, layer)).map(([local, { name }]) => [local, name]),
    );
    const dtypes = Object.fromEntries(
      Object.entries(weights).map(([local, name]) => [local, storage.get(name)!]),
    );
    const adapted = lora[layer]!;
    const key = JSON.stringify([dtypes, ...adapted]);
    let graph = graphOf.get(key);
    if (graph === undefined) {
      graph = kinds.push({ storage: dtypes, lora: adapted }) - 1;
      graphOf.set(key, graph);
    }
    return { layer, stage: null, graph, weights, parameters: loraParameters(config, layer, adapted) };
  });
  const normStorage: Record<string, DType> = { norm: storage.get(norm.name)! };
  const { step, generation } = choose((rows, cache) => {
    const common = { config, numerics, sequenceLength: rows };
    const normOf = cache === null ? llamaNorm : llamaLastNorm;
    return {
      rows,
      tables: llamaTables(config, rows),
      graphs: kinds.map((kind) => llamaBlock({ ...common, ...kind, cache })),
      norm: normOf({ ...common, storage: normStorage }),
    };
  });
  return {
    family: config.family,
    config: options.rawConfig,
    hidden: config.hiddenSize,
    vocabulary: config.vocabSize,
    constants: { inverse_frequencies: [...ropeInverseFrequencies(config)] },
    tables: step.tables,
    graphs: step.graphs,
    blocks,
    embedding: embedding.name,
    norm: { graph: step.norm, weights: { norm: norm.name } },
    head: head.name,
    tensors,
    files: options.files,
    generation,
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
