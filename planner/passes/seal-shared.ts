/** What a plan says of any work: the sections that a training's and a generation's plan have in common. */
import type { CommonInputs } from "../../schemas/inputs.ts";
import { type AnyPlan, PLAN_FORMAT_VERSION, type Plan, type PlanProgram } from "../../schemas/plan.ts";
import { estimateId, planId } from "../../schemas/plan-id.ts";
import type { LaidOut, Programs } from "../ir/schedule.ts";
import type { Units } from "../ir/units.ts";
import { at, computeArena } from "../ir/values.ts";
import type { Choice } from "../shape/choice.ts";
import { arenaBudget } from "./feasible.ts";

export interface Sealable<Given extends CommonInputs = CommonInputs> {
  readonly inputs: Given;
  readonly units: Units;
  readonly laidOut: LaidOut;
  readonly programs: Programs<PlanProgram>;
  readonly predictions: Plan["predictions"];
  readonly bounds: Plan["bounds"];
  readonly choice: Choice;
}

/** Which lema made the plan; the ids are put in by `named`. */
export function headerOf({ inputs: { lema_version, op_table, executable } }: Sealable) {
  const format_version = PLAN_FORMAT_VERSION;
  return { format_version, lema_version, op_table, plan_id: "", estimate_id: "", executable };
}

export function inputsOf({ inputs: { recipe, model, adapter } }: Sealable) {
  return {
    recipe: recipe as unknown as Record<string, unknown>,
    model: { family: model.family, config: { ...model.config } },
    adapter: adapter.from === null ? null : { digest: adapter.from },
    files: model.files.map(({ id, bytes, digest }) => ({ id, bytes, digest })),
  };
}

/** Shape apart from what the work's steps are. */
export function shapeOf({ inputs, laidOut: { shape } }: Sealable) {
  return {
    tiers: shape.tiers,
    compute_arena: computeArena(shape),
    resident_units: shape.pinned.length,
    ring: shape.ring,
    threads: inputs.hardware.compute.threads ?? 1,
  };
}

export function memoryOf(
  parts: Sealable,
): Pick<Plan, "budgets" | "tensors" | "units" | "buffers" | "constants"> {
  const { inputs, units, laidOut, programs } = parts;
  const { shape } = laidOut;
  const gathered = Object.values(programs).some(({ steady }) => steady.some(({ kind }) => kind === "gather"));
  const used = units.all.filter(({ kind }) => kind !== "embedding" || shape.embedding === "resident");
  return {
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
  };
}

export function scheduleOf({ laidOut, programs }: Sealable): Pick<Plan, "procedures" | "residency"> {
  return { procedures: usedProcedures(laidOut, programs), residency: [...laidOut.residency] };
}

export function resultsOf({ inputs, predictions, bounds, choice }: Sealable) {
  return { predictions, bounds, ...choice, numerics: { ...inputs.numerics } };
}

export function metaOf({ inputs: { hardware, model } }: Sealable, output: string | null): Plan["meta"] {
  return {
    hardware: plain(hardware),
    paths: Object.fromEntries(model.files.map(({ id, path }) => [id, path])),
    output,
    created: null,
  };
}

/** The plan under the digests of its contents. */
export function named<Made extends AnyPlan>(unsealed: Made): Made {
  const plan = { ...unsealed, plan_id: planId(unsealed) };
  return { ...plan, estimate_id: estimateId(plan) };
}

function budgetOf({ inputs, laidOut }: Sealable, tier: "ram" | "vram"): Plan["budgets"]["ram"] {
  const { budget, reserve } = arenaBudget(inputs, tier);
  const { bytes, maxLive } = laidOut.arenas[tier];
  return { budget, reserve, arena: bytes, total: bytes + reserve, max_live: maxLive };
}

function tensorsOf(inputs: CommonInputs, names: readonly string[], gathered: boolean): Plan["tensors"] {
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

function constantsOf({ model }: CommonInputs): Plan["constants"] {
  return Object.values(model.constants).map((values) => ({
    at: at("constants"),
    dtype: "f32",
    values: [...values],
  }));
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

/** A copy without `undefined`s, as JSON would have it. */
function plain(value: object): Record<string, unknown> {
  return JSON.parse(JSON.stringify(value)) as Record<string, unknown>;
}
