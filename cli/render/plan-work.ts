/** What a plan is for, in a few lines: the training or the generation, and the machine. */
import type { AnyPlan, ArenaName, GenerationPlan, Plan } from "../../schemas/plan.ts";
import { resolvedRecipeSchema } from "../../schemas/recipe.ts";
import { fitRows } from "./fit-table.ts";
import { adapterShape, elements } from "./plan-facts.ts";
import { formatCount, formatShare } from "./table.ts";

const INDENT = "  ";

/** In lines of at most `width` characters. */
export function workLines(plan: AnyPlan, width: number): string[] {
  const rows = "purpose" in plan ? generation(plan) : training(plan);
  return fitRows(rows, { alignment: "l", indent: INDENT, width });
}

/** The name of the model that a plan is for. */
export function modelName(plan: AnyPlan): string {
  return "purpose" in plan ? String(plan.inputs.recipe.model) : plan.adapter.base_model;
}

/** The work in one line. */
export function workLine(plan: AnyPlan): string {
  const { shape, numerics } = plan;
  if ("purpose" in plan) {
    const { capacity, chunk } = plan.generation;
    return `generation · context of ${formatCount(capacity)}, prefill by ${chunk} · ${numerics.precision} · ${machineName(plan)}`;
  }
  const lora = adapterShape(plan);
  const step = `${shape.batch_size} × ${shape.sequence_length} = ${formatCount(shape.tokens_per_step)} tokens a step`;
  return `${lora.kind} rank ${lora.ranks} on ${lora.linears.join(", ")} · ${step} in ${shape.micro_batches} micro-batches · ${numerics.precision} · ${machineName(plan)}`;
}

function training(plan: Plan): string[][] {
  const { shape, adapter, numerics } = plan;
  const lora = adapterShape(plan);
  const trained = plan.parameters.reduce((sum, parameter) => sum + elements(parameter.shape), 0);
  return [
    ["model", modelText(adapter.base_model, plan)],
    [
      "adapter",
      `${lora.kind}, rank ${lora.ranks}, alpha ${adapter.alpha}${adapter.alpha_pattern ? " or by pattern" : ""}, on ${lora.linears.join(" ")}`,
    ],
    [
      "",
      `${inMillions(trained)} parameters, ${formatShare(trained / weightsOf(plan))} of the model, in float32`,
    ],
    [
      "step",
      `${count(shape.batch_size, "sequence")} of ${formatCount(shape.sequence_length)} = ${formatCount(shape.tokens_per_step)} tokens` +
        `, in ${count(shape.micro_batches, "micro-batch", "micro-batches")} of ${shape.micro_batch}; ${numerics.precision}`,
    ],
    ["run", duration(plan)],
    ["on", `${machineName(plan)}: ${tiers(plan)}`],
  ];
}

function duration({ inputs, training: { steps, steps_per_epoch } }: Plan): string {
  const { dataset, recipe } = inputs;
  if (dataset !== null) {
    const rows = formatCount(dataset.train_rows);
    return `${count(steps, "step")}, ${formatCount(steps_per_epoch)} an epoch; ${rows} training rows`;
  }
  const wanted = resolvedRecipeSchema.parse(recipe).training.duration;
  const length = "steps" in wanted ? count(wanted.steps, "step") : count(wanted.epochs, "epoch");
  return `${length}; the dataset was not read`;
}

function generation(plan: GenerationPlan): string[][] {
  const { generation: asked, parameters, numerics } = plan;
  const values = parameters.reduce((sum, { shape }) => sum + elements(shape), 0);
  return [
    ["model", modelText(modelName(plan), plan)],
    ["adapter", values === 0 ? "none" : `${inMillions(values)} values, applied unmerged`],
    [
      "context",
      `${formatCount(asked.capacity)} positions; a prompt goes in by ${asked.chunk}; ${numerics.precision}`,
    ],
    ["on", `${machineName(plan)}: ${tiers(plan)}`],
  ];
}

function modelText(name: string, plan: AnyPlan): string {
  const blocks = plan.units.filter(({ kind }) => kind === "block");
  // Stages of a block are named after it: `L07.mlp`.
  const layers = new Set(blocks.map(({ id }) => id.split(".")[0])).size;
  return `${name}: ${count(layers, "layer")}, ${inMillions(weightsOf(plan))} parameters`;
}

function weightsOf({ tensors }: AnyPlan): number {
  return tensors.reduce((sum, tensor) => sum + elements(tensor.shape), 0);
}

export function machineName(plan: AnyPlan): string {
  const { name } = plan.meta.hardware;
  return typeof name === "string" ? name : "an unnamed machine";
}

function tiers({ shape }: AnyPlan): string {
  const words: Readonly<Record<ArenaName, string>> = { ram: "disk → ram", vram: "disk → ram → vram" };
  return words[shape.compute_arena];
}

function inMillions(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toFixed(2)} billion`;
  return value >= 1e6 ? `${(value / 1e6).toFixed(1)} million` : formatCount(value);
}

export function count(value: number, singular: string, plural = `${singular}s`): string {
  return `${formatCount(value)} ${value === 1 ? singular : plural}`;
}
