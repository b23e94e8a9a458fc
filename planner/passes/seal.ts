/**
 * seal: everything that was decided becomes plan.json, named by the digests of its contents.
 *
 * Guarantees: the same inputs give the same bytes: no clock, no path and no order of a map gets in (paths stand in
 * `meta`, which no digest covers).
 */
import type { Inputs } from "../../schemas/inputs.ts";
import { tensorBytes } from "../../schemas/ops/define-op.ts";
import { PLAN_FORMAT_VERSION, type Plan, type PlanProgram, stepScalars } from "../../schemas/plan.ts";
import { estimateId, planId } from "../../schemas/plan-id.ts";
import type { LaidOut, Programs } from "../ir/schedule.ts";
import type { Units } from "../ir/units.ts";
import { adapterOffsets, at, computeArena, inputLayout, outputPlaces, rowInputs } from "../ir/values.ts";
import { arenaBudget } from "./feasible.ts";

export interface Sealable {
  readonly inputs: Inputs;
  readonly units: Units;
  readonly laidOut: LaidOut;
  readonly programs: Programs<PlanProgram>;
  readonly predictions: Plan["predictions"];
  readonly bounds: Plan["bounds"];
  readonly decisions: Plan["decisions"];
}

export function seal(parts: Sealable): Plan {
  const { inputs, units, laidOut, programs, predictions, bounds, decisions } = parts;
  const { recipe, model } = inputs;
  const { shape } = laidOut;
  const gathered = Object.values(programs).some(({ steady }) => steady.some(({ kind }) => kind === "gather"));
  const used = units.all.filter(({ kind }) => kind !== "embedding" || shape.embedding === "resident");
  const unsealed: Plan = {
    format_version: PLAN_FORMAT_VERSION,
    lema_version: inputs.lema_version,
    op_table: inputs.op_table,
    plan_id: "",
    estimate_id: "",
    executable: inputs.executable,
    inputs: {
      recipe: recipe as unknown as Record<string, unknown>,
      model: { family: model.family, config: { ...model.config } },
      dataset: inputs.dataset,
      tokenizer: inputs.tokenizer,
      adapter: inputs.adapter.from === null ? null : { digest: inputs.adapter.from },
      files: model.files.map(({ id, bytes, digest }) => ({ id, bytes, digest })),
      seed: recipe.training.seed,
    },
    shape: shapeOf(parts),
    budgets: {
      ram: budgetOf(parts, "ram"),
      vram: shape.tiers === "disk-ram" ? null : budgetOf(parts, "vram"),
    },
    tensors: tensorsOf(
      inputs,
      used.flatMap(({ parts: list }) => list.map(({ tensor }) => tensor)),
      gathered,
    ),
    units: used.map((unit) => ({ ...unit, parts: [...unit.parts] })),
    buffers: [...laidOut.buffers],
    constants: constantsOf(inputs),
    step_inputs: stepInputs(inputs),
    step_outputs: [
      { name: "loss", dtype: "f64", at: at("outputs", outputPlaces.loss) },
      { name: "grad_norm", dtype: "f64", at: at("outputs", outputPlaces.norm) },
      { name: "skip", dtype: "i32", at: at("outputs", outputPlaces.skip) },
    ],
    parameters: parametersOf(parts),
    sinks: sinksOf(parts),
    procedures: usedProcedures(laidOut, programs),
    residency: [...laidOut.residency],
    programs: {
      "train-step": programs["train-step"]!,
      evaluate: programs.evaluate!,
      checkpoint: programs.checkpoint!,
    },
    predictions,
    bounds,
    decisions,
    numerics: { ...inputs.numerics },
    training: trainingOf(inputs),
    adapter: {
      rank: inputs.adapter.rank,
      alpha: inputs.adapter.alpha,
      rslora: inputs.adapter.rslora,
      targets: [...inputs.adapter.targets],
      base_model: inputs.adapter.base_model,
    },
    meta: {
      hardware: plain(inputs.hardware),
      paths: Object.fromEntries(model.files.map(({ id, path }) => [id, path])),
      output: recipe.output,
      created: null,
    },
  };
  const named = { ...unsealed, plan_id: planId(unsealed) };
  return { ...named, estimate_id: estimateId(named) };
}

function shapeOf({ inputs, laidOut: { shape } }: Sealable): Plan["shape"] {
  const { batch_size } = inputs.recipe.training;
  return {
    tiers: shape.tiers,
    compute_arena: computeArena(shape),
    micro_batch: shape.microBatch,
    micro_batches: batch_size / shape.microBatch,
    batch_size,
    sequence_length: inputs.recipe.sequence.length,
    tokens_per_step: batch_size * inputs.recipe.sequence.length,
    resident_units: shape.pinned.length,
    ring: shape.ring,
    threads: inputs.hardware.compute.threads ?? 1,
  };
}

function budgetOf({ inputs, laidOut }: Sealable, tier: "ram" | "vram"): Plan["budgets"]["ram"] {
  const { budget, reserve } = arenaBudget(inputs, tier);
  const { bytes, maxLive } = laidOut.arenas[tier];
  return { budget, reserve, arena: bytes, total: bytes + reserve, max_live: maxLive };
}

function tensorsOf(inputs: Inputs, names: readonly string[], gathered: boolean): Plan["tensors"] {
  const { model } = inputs;
  const wanted = new Set(gathered ? [...names, model.embedding] : names);
  const norms = new Set(Object.values(model.norm.weights));
  return model.tensors
    .filter(({ name }) => wanted.has(name))
    .map((tensor) => {
      const role =
        tensor.name === model.head
          ? "head"
          : tensor.name === model.embedding
            ? "embedding"
            : norms.has(tensor.name)
              ? "norm"
              : "block";
      return { ...tensor, role, shape: [...tensor.shape] };
    });
}

function constantsOf({ model }: Inputs): Plan["constants"] {
  return Object.values(model.constants).map((values) => ({
    at: at("constants"),
    dtype: "f32",
    values: [...values],
  }));
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

function parametersOf({ inputs, units }: Sealable): Plan["parameters"] {
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
function sinksOf(parts: Sealable): Plan["sinks"] {
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

function usedProcedures(laidOut: LaidOut, programs: Programs<PlanProgram>): Plan["procedures"] {
  const used = new Set<string>();
  for (const { prologue, steady, epilogue } of Object.values(programs)) {
    for (const instruction of [...prologue, ...steady, ...epilogue]) {
      if (instruction.kind === "run") used.add(instruction.procedure);
    }
  }
  return laidOut.procedures.filter(({ id }) => used.has(id));
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

/** A copy without `undefined`s, as JSON would have it. */
function plain(value: object): Record<string, unknown> {
  return JSON.parse(JSON.stringify(value)) as Record<string, unknown>;
}
