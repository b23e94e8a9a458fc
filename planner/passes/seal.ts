/**
 * seal: everything that was decided becomes plan.json, named by the digests of its contents.
 *
 * Guarantees: the same inputs give the same bytes: no clock, no path and no order of a map gets in (paths stand in
 * `meta`, which no digest covers).
 */
import type { Inputs } from "../../schemas/inputs.ts";
import { tensorBytes } from "../../schemas/ops/define-op.ts";
import { type Plan, stepScalars } from "../../schemas/plan.ts";
import { adapterOffsets, at, inputLayout, outputPlaces, rowInputs } from "../ir/values.ts";
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

export function seal(parts: Sealable<Inputs>): Plan {
  const { inputs, programs } = parts;
  const { recipe, dataset, tokenizer } = inputs;
  const { model, adapter, files, recipe: asked } = inputsOf(parts);
  const { seed } = recipe.training;
  return named({
    ...headerOf(parts),
    inputs: { recipe: asked, model, dataset, tokenizer, adapter, files, seed },
    shape: trainingShape(parts),
    ...memoryOf(parts),
    step_inputs: stepInputs(inputs),
    step_outputs: [
      { name: "loss", dtype: "f64", at: at("outputs", outputPlaces.loss) },
      { name: "grad_norm", dtype: "f64", at: at("outputs", outputPlaces.norm) },
      { name: "skip", dtype: "i32", at: at("outputs", outputPlaces.skip) },
    ],
    parameters: parametersOf(parts),
    sinks: sinksOf(parts),
    ...scheduleOf(parts),
    programs: {
      "train-step": programs["train-step"]!,
      evaluate: programs.evaluate!,
      checkpoint: programs.checkpoint!,
    },
    ...resultsOf(parts),
    training: trainingOf(inputs),
    adapter: adapterOf(inputs),
    meta: metaOf(parts, recipe.output),
  });
}

function adapterOf({ adapter }: Inputs): Plan["adapter"] {
  const { rank, alpha, rslora, targets, rank_pattern, alpha_pattern, base_model } = adapter;
  const copy = (pattern: typeof rank_pattern) =>
    pattern.map(([path, value]): [string, number] => [path, value]);
  return {
    rank,
    alpha,
    rslora,
    targets: [...targets],
    ...(rank_pattern.length > 0 && { rank_pattern: copy(rank_pattern) }),
    ...(alpha_pattern.length > 0 && { alpha_pattern: copy(alpha_pattern) }),
    base_model,
  };
}

function trainingShape(parts: Sealable<Inputs>): Plan["shape"] {
  const { recipe } = parts.inputs;
  const { microBatch } = parts.laidOut.shape;
  const { batch_size } = recipe.training;
  const { tiers, compute_arena, ...rest } = shapeOf(parts);
  return {
    tiers,
    compute_arena,
    micro_batch: microBatch,
    micro_batches: batch_size / microBatch,
    batch_size,
    sequence_length: recipe.sequence.length,
    tokens_per_step: batch_size * recipe.sequence.length,
    ...rest,
  };
}

function stepInputs(inputs: Inputs): Plan["step_inputs"] {
  const { recipe, model } = inputs;
  const { length } = recipe.sequence;
  const layout = inputLayout(inputs);
  const docs = {
    tokens: { doc: "Token ids.", range: [0, model.vocabulary - 1] },
    labels: { doc: "Next-token ids; −100 is not supervised.", range: [-100, model.vocabulary - 1] },
    positions: { doc: "Position of each token in its segment.", range: [0, length - 1] },
    segment_start: { doc: "First position of each token's segment.", range: [0, length - 1] },
  } as const;
  const rows = rowInputs.map((name) => ({
    name,
    doc: docs[name].doc,
    dtype: "i32" as const,
    shape: [recipe.training.batch_size, length],
    range: [...docs[name].range] as [number, number],
    at: at("inputs", layout.rows(name)),
  }));
  const scalars = stepScalars.map(({ name, doc, range }) => ({
    name,
    doc,
    dtype: "f32" as const,
    shape: [1],
    range: [...range] as [number, number],
    at: at("inputs", layout.scalar(name)),
  }));
  return [...rows, ...scalars];
}

function parametersOf({ inputs, units }: Sealable<Inputs>): Plan["parameters"] {
  const { offsets } = adapterOffsets(inputs, units);
  return inputs.model.blocks.flatMap((block, layer) =>
    block.parameters.map(({ local, name, shape: dims, init }) => {
      const inside = units.adapters[block.graph]!.offsets.get(local)!;
      const offset = offsets[layer]! + inside;
      return {
        name,
        unit: units.blocks[layer]!,
        shape: [...dims],
        init,
        value: at("adapter", offset),
        gradient: at("gradient", offset),
        first_moment: at("first_moment", offset),
        second_moment: at("second_moment", offset),
      };
    }),
  );
}

/** Checkpoint payloads hold the tensors in the order of the buffers, so that each buffer is one write. */
function sinksOf(parts: Sealable<Inputs>): Plan["sinks"] {
  const parameters = parametersOf(parts);
  if (parameters.length === 0) return [];
  const { bytes } = adapterOffsets(parts.inputs, parts.units);
  const tensors = (base: number, rename: (name: string) => string) =>
    parameters.map(({ name, shape, value }) => ({
      name: rename(name),
      dtype: "f32" as const,
      shape,
      offset: base + value.offset,
      bytes: tensorBytes(shape, "f32"),
    }));
  return [
    { id: "adapter", file: "adapter_model.safetensors", tensors: tensors(0, (name) => name), bytes },
    {
      id: "optimizer",
      file: "optimizer.safetensors",
      tensors: [
        ...tensors(0, (name) => `${name}.first_moment`),
        ...tensors(bytes, (name) => `${name}.second_moment`),
      ],
      bytes: 2 * bytes,
    },
  ];
}

function trainingOf({ recipe, dataset }: Inputs): Plan["training"] {
  const { training, checkpoint } = recipe;
  const { duration, schedule, optimizer } = training;
  const perEpoch = dataset === null ? 1 : Math.max(1, Math.ceil(dataset.train_rows / training.batch_size));
  const steps = "steps" in duration ? duration.steps : duration.epochs * perEpoch;
  // A share of the steps rounds up, as Transformers' warmup_ratio does.
  const warmup =
    "steps" in schedule.warmup ? schedule.warmup.steps : Math.ceil(schedule.warmup.share * steps);
  return {
    steps,
    steps_per_epoch: perEpoch,
    learning_rate: training.learning_rate,
    schedule: { type: schedule.type, warmup_steps: warmup },
    optimizer: {
      type: optimizer.type,
      beta1: optimizer.betas[0],
      beta2: optimizer.betas[1],
      epsilon: optimizer.eps,
      weight_decay: optimizer.weight_decay,
    },
    max_grad_norm: training.max_grad_norm ?? 0,
    checkpoint_every: checkpoint.every,
    checkpoint_keep: checkpoint.keep,
    evaluate_every: (dataset?.validation_rows ?? 0) > 0 ? perEpoch : null,
    shuffle: recipe.dataset.shuffle,
  };
}
