/** A model to be trained: steps of optimizer over a batch, there and back through its units. */

import type { Inputs } from "../../schemas/inputs.ts";
import { type DType, tensorBytes } from "../../schemas/ops/define-op.ts";
import type { ArenaName, ProgramName } from "../../schemas/plan.ts";
import { MOST_MICRO_BATCHES } from "../../schemas/recipe/training-document.ts";
import {
  buildProcedures,
  type Derivatives,
  differentiateAll,
  type Procedures,
  withEmbedding,
} from "../ir/procedures.ts";
import type { Expanded, Shape, UnitSize } from "../ir/schedule.ts";
import { splitBlocks } from "../ir/split-blocks.ts";
import { StepContext } from "../ir/step-context.ts";
import { HEAD_CLASS } from "../ir/units.ts";
import { adapterOffsets, HEAD_SLOTS, ringBytes, slotBytes } from "../ir/values.ts";
import { type Activations, type LeastWork, type Portion, type PortionText, Variant } from "../ir/variants.ts";
import { expandStep } from "../passes/expand-step.ts";

export class TrainingVariant extends Variant {
  declare readonly inputs: Inputs;
  readonly order = "there and back";
  #derivatives: Derivatives | undefined;
  readonly #procedures = new Map<string, Procedures>();
  /** The last expansion of the work, and all of a shape that it depends on. */
  #latest: { readonly key: string; readonly expanded: Expanded } | undefined;

  constructor(unitSize: UnitSize, inputs: Inputs) {
    super(unitSize, inputs);
  }

  /** Micro-batches. */
  get portions(): readonly Portion[] {
    const { batch_size, micro_batch } = this.inputs.recipe.training;
    const all = Array.from({ length: batch_size }, (_, index) => batch_size - index);
    const wanted =
      micro_batch === "auto"
        ? all.filter((n) => batch_size % n === 0 && batch_size / n <= MOST_MICRO_BATCHES)
        : [micro_batch];
    return wanted.map((microBatch) => ({ microBatch, chunk: 0 }));
  }

  get portionText(): PortionText {
    const auto = this.inputs.recipe.training.micro_batch === "auto";
    return {
      name: "micro-batch",
      recipePath: "training.micro_batch",
      value: ({ microBatch }) => String(microBatch),
      reason:
        auto && this.portions.length > 1
          ? "sequences at a time; the traffic of weights does not depend on it"
          : "sequences at a time; the recipe says so",
    };
  }

  get offloads(): readonly number[] {
    const all = this.units.blocks.length;
    return [...new Set([0, 1, 2, 3, 4].map((quarters) => Math.ceil((all * quarters) / 4)))];
  }

  get levers(): string {
    return "sequence.length, training.batch_size or adapter.rank";
  }

  procedures({ microBatch, embedding }: Shape): Procedures {
    const key = `${microBatch} ${embedding}`;
    const known = this.#procedures.get(key);
    if (known) return known;
    const shape = { microBatch, embedding };
    const alike = this.#procedures.get(`${microBatch} ${embedding === "gather" ? "resident" : "gather"}`);
    this.#derivatives ??= differentiateAll(this.inputs);
    const [another] = this.#procedures.values();
    const built = alike
      ? withEmbedding(this.inputs, alike, shape)
      : buildProcedures(this.inputs, this.units, this.#derivatives, shape, another);
    this.#procedures.set(key, built);
    return built;
  }

  expand(shape: Shape): Expanded {
    return expandStep(this, shape);
  }

  /** An evaluation is half a step, and a checkpoint writes what is there. Shapes that differ in their pins share one. */
  expandWork(shape: Shape): Expanded {
    const { tiers, microBatch, embedding, adapter, keep, keepInRam, offload } = shape;
    const key = [tiers, microBatch, embedding, adapter, keep, keepInRam, offload].join(" ");
    if (this.#latest?.key !== key) {
      this.#latest = { key, expanded: expandStep(this, shape, ["train-step"]) };
    }
    return { ...this.#latest.expanded, shape };
  }

  work(): readonly { readonly program: ProgramName; readonly times: number }[] {
    return [{ program: "train-step", times: 1 }];
  }

  /** Each of the two turns reuses what the slots hold. */
  loads(units: number, slots: number): number {
    return 2 * Math.max(0, units - slots);
  }

  /**
   * The fuller of two moments, and in ram the flush of the first gradient, which finds the inputs there of all blocks that
   * are still two backwards away.
   */
  leastBytes(shape: Shape): Readonly<Record<ArenaName, number>> {
    const procedures = this.procedures(shape);
    const { tasks } = new StepContext(this.inputs, this.units, shape, procedures);
    const persistent = (tier: ArenaName) =>
      tasks.values.all.filter(({ arena }) => arena === tier).reduce((sum, { bytes }) => sum + bytes, 0);
    const all = this.units.blocks.length;
    const moment = Math.max(this.#firstBackwardBytes(procedures), this.#headBytes(shape, procedures));
    const compute =
      (all - shape.offload) * this.#streamBytes("f32") + moment + ringBytes(this.units, shape.ring);
    if (shape.tiers === "disk-ram") return { ram: persistent("ram") + compute, vram: 0 };
    const aside = Math.max(0, Math.min(shape.offload, all - 2)) * this.#streamBytes("f32");
    const { bytes: gradient } = adapterOffsets(this.inputs, this.units);
    return { ram: persistent("ram") + aside + gradient, vram: persistent("vram") + compute };
  }

  /** Beside blocks' slots and inputs: the gradient of the whole batch, and the scratch of the top block. */
  #firstBackwardBytes(procedures: Procedures): number {
    const top = this.units.graphNames[this.inputs.model.blocks.at(-1)!.graph]!;
    return this.#streamBytes("f32") + scratchBytes(procedures, `${top}.backward`);
  }

  /**
   * Beside blocks' slots and inputs: of the whole batch what the norm takes and gives, and two sums of rows; slots of the
   * head's chunks unless they stay; the scratch of one.
   */
  #headBytes({ pinned }: Shape, procedures: Procedures): number {
    const { head } = this.units;
    const rows = 3 * this.#streamBytes("f32") + this.#streamBytes(this.inputs.numerics.activation);
    const streaming = head.filter(({ unit }) => !pinned.includes(unit));
    const slots = Math.min(HEAD_SLOTS, streaming.length) * slotBytes(this.units, HEAD_CLASS);
    return rows + slots + scratchBytes(procedures, "head.tile/0");
  }

  leastWork(shape: Shape): LeastWork {
    const { inputs, units } = this;
    const { batch_size } = inputs.recipe.training;
    const micro = batch_size / shape.microBatch;
    const count = (graph: number) => inputs.model.blocks.filter((block) => block.graph === graph).length;
    const later = shape.tiers === "disk-ram" ? "down" : "end";
    const ofGraphs = units.graphNames.flatMap((name, graph): LeastWork["runs"] => [
      { when: "up", procedure: `${name}.forward`, times: micro * count(graph) },
      { when: "down", procedure: `${name}.backward`, times: micro * count(graph) },
      ...(units.adapters[graph]!.bytes === 0
        ? []
        : ["squares", "update"].map((work) => {
            return { when: later, procedure: `${name}.${work}`, times: count(graph) } as const;
          })),
    ]);
    const ofHead = ["head.begin", ...units.head.map((_, chunk) => `head.tile/${chunk}`), "head.finish"];
    return {
      runs: [...ofGraphs, ...ofHead.map((procedure) => ({ when: "head", procedure, times: micro }) as const)],
      aside: shape.offload * this.#streamBytes("f32"),
      rows: shape.microBatch * inputs.recipe.sequence.length,
    };
  }

  /** Bytes of as many rows as the residual stream of the whole batch has. */
  #streamBytes(dtype: DType): number {
    const { recipe, model } = this.inputs;
    return tensorBytes([recipe.training.batch_size, recipe.sequence.length, model.hidden], dtype);
  }

  activations(shape: Shape): Activations {
    const { saved } = this.procedures(shape);
    return {
      perBlock: this.inputs.recipe.training.batch_size / shape.microBatch,
      blocks: this.inputs.model.blocks.map(({ graph }) => {
        const before = `${this.units.graphNames[graph]}.backward`;
        return { bytes: saved[graph]!.bytes, before, after: `${before}.saved` };
      }),
    };
  }
}

function scratchBytes({ all }: Procedures, procedure: string): number {
  const { formals } = all.find(({ id }) => id === procedure)!;
  return formals.find(({ name }) => name === "scratch")?.bytes ?? 0;
}

export function buildVariants(inputs: Inputs): readonly TrainingVariant[] {
  const split = splitBlocks(inputs.model);
  const whole = new TrainingVariant("block", inputs);
  return split === null ? [whole] : [whole, new TrainingVariant("stage", { ...inputs, model: split })];
}
