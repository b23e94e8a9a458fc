/** seal of a generation: as `seal`, with caches, the places of its adapter's values, and the chunk of a prefill. */
import { concreteShape } from "../../schemas/graph.ts";
import type { GenerationInputs } from "../../schemas/inputs.ts";
import { tensorBytes } from "../../schemas/ops/define-op.ts";
import type { GenerationPlan } from "../../schemas/plan.ts";
import { adapterOffsets, at, cacheBuffer, generationInputs, lengthInputs } from "../ir/values.ts";
import {
  headerOf,
  inputsOf,
  memoryOf,
  metaOf,
  named,
  resultsOf,
  type Sealable,
  scheduleOf,
  shapeOf,
} from "./seal-shared.ts";

export function sealGeneration(parts: Sealable<GenerationInputs>): GenerationPlan {
  const { inputs, laidOut, programs } = parts;
  const { vocabulary, generation } = inputs.model;
  const { capacity } = generation!;
  const { chunk } = laidOut.shape;
  const one = { micro_batch: 1, micro_batches: 1, batch_size: 1 };
  return named({
    ...headerOf(parts),
    purpose: "generation",
    inputs: inputsOf(parts),
    shape: { ...shapeOf(parts), ...one, sequence_length: capacity, tokens_per_step: 1 },
    ...memoryOf(parts),
    step_inputs: stepInputs(inputs, chunk),
    step_outputs: [{ name: "logits", dtype: "f32", shape: [vocabulary], at: at("logits") }],
    parameters: parametersOf(parts),
    caches: cachesOf(parts),
    ...scheduleOf(parts),
    programs: { decode: programs.decode!, prefill: programs.prefill! },
    ...resultsOf(parts),
    generation: { capacity, chunk },
    meta: metaOf(parts, null),
  });
}

function stepInputs(inputs: GenerationInputs, chunk: number): GenerationPlan["step_inputs"] {
  const { vocabulary, generation } = inputs.model;
  const { capacity } = generation!;
  const { at: places } = generationInputs(chunk);
  const docs = {
    tokens: {
      doc: "Token ids; what stands behind the new ones is read and counts for nothing.",
      high: vocabulary - 1,
    },
    positions: { doc: "Position of each token in the sequence.", high: capacity - 1 },
    kv_length: { doc: "Positions that the caches hold.", high: capacity },
    new_tokens: { doc: "Positions of this step.", high: chunk },
  };
  const lengths: readonly string[] = lengthInputs;
  return (Object.keys(docs) as (keyof typeof docs)[]).map((name) => ({
    name,
    doc: docs[name].doc,
    dtype: "i32",
    shape: [1, lengths.includes(name) ? 1 : chunk],
    range: [name === "new_tokens" ? 1 : 0, docs[name].high],
    at: at("inputs", places[name]),
  }));
}

function parametersOf({ inputs, units }: Sealable<GenerationInputs>): GenerationPlan["parameters"] {
  const { offsets } = adapterOffsets(inputs, units);
  return inputs.model.blocks.flatMap(({ graph, parameters }, block) =>
    parameters.map(({ local, name, shape }) => ({
      name,
      unit: units.blocks[block]!,
      shape: [...shape],
      value: at("adapter", offsets[block]! + units.adapters[graph]!.offsets.get(local)!),
    })),
  );
}

function cachesOf({ inputs, units }: Sealable<GenerationInputs>): GenerationPlan["caches"] {
  return inputs.model.blocks.flatMap(({ graph }, block) => {
    const { k_cache: keys } = inputs.model.graphs[graph]!.values;
    if (keys === undefined) return [];
    const shape = [...concreteShape(keys.shape, 1)];
    const unit = units.blocks[block]!;
    const buffer = cacheBuffer(unit);
    return [{ unit, keys: at(buffer), values: at(buffer, tensorBytes(shape, keys.dtype)), shape }];
  });
}
