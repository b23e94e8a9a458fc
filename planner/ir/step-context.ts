/**
 * What the tasks of a training's programs have in common.
 *
 * With three tiers gradients are flushed to ram as each unit's backward ends, and the optimizer runs on the host lane
 * over the master copy of the adapter there.
 */
import { invariant } from "../../schemas/diagnostic.ts";
import type { Inputs } from "../../schemas/inputs.ts";
import type { ArenaName } from "../../schemas/plan.ts";
import { Keeping } from "./kept.ts";
import { PlanContext } from "./plan-context.ts";
import type { Procedures } from "./procedures.ts";
import type { Shape, ValuePlace } from "./schedule.ts";
import type { Units } from "./units.ts";
import { at, inputLayout, OUTPUT_BYTES, type RowInput, type ScalarInput } from "./values.ts";

export class StepContext extends PlanContext {
  declare readonly inputs: Inputs;
  /** Layout of `saved` per graph. */
  readonly saved: Procedures["saved"];
  readonly microBatches: readonly number[];
  readonly keeping: Keeping;
  readonly suffix = "";
  readonly #layout: ReturnType<typeof inputLayout>;

  constructor(inputs: Inputs, units: Units, shape: Shape, procedures: Procedures) {
    super(inputs, units, shape, procedures.all);
    const { batch_size } = inputs.recipe.training;
    const { microBatch } = shape;
    invariant(batch_size % microBatch === 0, `micro-batch ${microBatch} does not divide ${batch_size}`);
    this.saved = procedures.saved;
    this.microBatches = Array.from({ length: batch_size / microBatch }, (_, index) => index);
    this.keeping = new Keeping(this.blocks.length, this.microBatches.length, shape);
    this.#layout = inputLayout(inputs);
    this.#declarePersistent();
  }

  get positions(): number {
    return this.inputs.recipe.sequence.length;
  }

  get inputBytes(): number {
    return this.#layout.bytes;
  }

  /** Lane of the optimizer, which works where the master copy of the adapter is. */
  get optimizerLane(): "compute" | "host" {
    return this.onDevice ? "host" : "compute";
  }

  /** Blocks that have adapter parameters. */
  get adapted(): readonly number[] {
    return this.blocks.filter((block) => this.adapterBytes(block) > 0);
  }

  rowRange(name: RowInput, mb: number): { offset: number; bytes: number } {
    const bytes = this.vectorBytes("i32");
    return { offset: this.#layout.rows(name) + mb * bytes, bytes };
  }

  /** One micro-batch's part of a step input, in the compute arena. */
  rows(name: RowInput, mb: number): ValuePlace {
    return this.input(this.rowRange(name, mb).offset);
  }

  /** A scalar of the step, in the compute arena or where the optimizer runs. */
  scalar(name: ScalarInput, arena: ArenaName): ValuePlace {
    return at(arena === "ram" ? "inputs" : "inputs.device", this.#layout.scalar(name));
  }

  /** The gradient of the residual stream, in place through all blocks. */
  gradientStream(mb: number): ValuePlace {
    return this.tasks.place("grad", mb, () =>
      at(this.tasks.value(`grad/mb${mb}`, this.matrixBytes("f32"), "gradient")),
    );
  }

  /** The gradient of all parameters, where the optimizer runs. */
  hostGradient(): string {
    return this.tasks.values.declare("gradient", "ram", this.adapter.bytes, "gradient", "train-step");
  }

  #declarePersistent(): void {
    const { tasks, shape } = this;
    tasks.persistent("staging", "ram", this.stagingBytes, "staging");
    tasks.persistent("inputs", "ram", this.inputBytes, "input");
    tasks.persistent("outputs", "ram", OUTPUT_BYTES, "output");
    tasks.persistent("constants", tasks.arena, this.constantBytes, "constant");
    tasks.persistent("adapter", "ram", this.adapter.bytes, "adapter");
    tasks.persistent("first_moment", "ram", this.adapter.bytes, "optimizer");
    tasks.persistent("second_moment", "ram", this.adapter.bytes, "optimizer");
    if (!this.onDevice) return;
    tasks.persistent("inputs.device", "vram", this.inputBytes, "input");
    tasks.persistent("outputs.device", "vram", 8, "output");
    if (shape.adapter === "resident") {
      tasks.persistent("adapter.device", "vram", this.adapter.bytes, "adapter");
    }
  }
}
