/** A model to be trained: steps of optimizer over a batch, there and back through its units. */

import type { Inputs } from "../../schemas/inputs.ts";
import { tensorBytes } from "../../schemas/ops/define-op.ts";
import type { ProgramName } from "../../schemas/plan.ts";
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
import { type Portion, type PortionText, Variant } from "../ir/variants.ts";
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
    const built = alike
      ? withEmbedding(this.inputs, alike, shape)
      : buildProcedures(this.inputs, this.units, this.#derivatives, shape);
    this.#procedures.set(key, built);
    return built;
  }

  expand(shape: Shape): Expanded {
    return expandStep(this, shape);
  }

  /** An evaluation is half a step, and a checkpoint writes what is there. Shapes that differ in their pins share one. */
  expandWork(shape: Shape): Expanded {
    const { microBatch, embedding, adapter, keep, offload } = shape;
    const key = [shape.tiers, microBatch, embedding, adapter, keep, offload].join(" ");
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

  /** When the head runs, every block's input waits for its backward, but for those that ram keeps. */
  leastBytes({ offload }: Shape): number {
    const { recipe, model } = this.inputs;
    const inputs = this.units.blocks.length - offload;
    return inputs * tensorBytes([recipe.training.batch_size, recipe.sequence.length, model.hidden], "f32");
  }

  savedBytes(shape: Shape): readonly number[] {
    const { saved } = this.procedures(shape);
    const count = this.inputs.recipe.training.batch_size / shape.microBatch;
    return this.inputs.model.blocks.map(({ graph }) => count * saved[graph]!.bytes);
  }

  recomputation(graph: string, shape: Shape): { before: string; after: string; times: number } {
    const times = this.inputs.recipe.training.batch_size / shape.microBatch;
    return { before: `${graph}.backward`, after: `${graph}.backward.saved`, times };
  }
}

export function buildVariants(inputs: Inputs): readonly TrainingVariant[] {
  const split = splitBlocks(inputs.model);
  const whole = new TrainingVariant("block", inputs);
  return split === null ? [whole] : [whole, new TrainingVariant("stage", { ...inputs, model: split })];
}
