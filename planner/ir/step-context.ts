/**
 * What the tasks of all programs have in common: the shape, the byte layout of step inputs and adapter, and the values
 * that several kinds of tasks touch.
 *
 * With two tiers everything lives in ram. With three, kernels compute in vram: step inputs and embedding rows are
 * copied there, gradients are flushed back as each unit's backward ends, and the optimizer runs on the host lane over
 * the master copy of the adapter in ram.
 */
import { invariant } from "../../schemas/diagnostic.ts";
import type { Inputs } from "../../schemas/inputs.ts";
import { type DType, tensorBytes } from "../../schemas/ops/define-op.ts";
import type { ArenaName } from "../../schemas/plan.ts";
import type { Procedures } from "./procedures.ts";
import type { Shape, ValuePlace } from "./schedule.ts";
import { TaskWriter } from "./task-writer.ts";
import { byName, tensorByName, type Units } from "./units.ts";
import {
  adapterOffsets,
  at,
  computeArena,
  inputLayout,
  OUTPUT_BYTES,
  type RowInput,
  type ScalarInput,
  slotBytes,
  stagingBytes,
} from "./values.ts";

export class StepContext {
  readonly inputs: Inputs;
  readonly units: Units;
  readonly shape: Shape;
  readonly tasks: TaskWriter;
  /** Layout of `saved` per graph. */
  readonly saved: Procedures["saved"];
  readonly microBatches: readonly number[];
  /** Blocks of the chain: layers, or their stages. */
  readonly blocks: readonly number[];
  readonly adapter: { readonly offsets: readonly number[]; readonly bytes: number };
  /** Index of each block's first parameter in the order of PEFT's file. */
  readonly firstParameter: readonly number[];
  /** Bytes of the cosines (and of the sines) of a micro-batch. */
  readonly tableBytes: number;
  readonly #layout: ReturnType<typeof inputLayout>;

  constructor(inputs: Inputs, units: Units, shape: Shape, procedures: Procedures) {
    const { batch_size } = inputs.recipe.training;
    const { microBatch } = shape;
    invariant(batch_size % microBatch === 0, `micro-batch ${microBatch} does not divide ${batch_size}`);
    this.inputs = inputs;
    this.units = units;
    this.shape = shape;
    this.tasks = new TaskWriter(computeArena(shape), procedures.all);
    this.saved = procedures.saved;
    this.microBatches = Array.from({ length: batch_size / microBatch }, (_, index) => index);
    this.blocks = inputs.model.blocks.map((_, index) => index);
    this.adapter = adapterOffsets(inputs, units);
    this.firstParameter = firstParameters(inputs);
    this.tableBytes = this.vectorBytes("f32") * constantsCount(inputs);
    this.#layout = inputLayout(inputs);
    this.#declarePersistent();
  }

  /** Whether kernels compute in vram. */
  get onDevice(): boolean {
    return this.tasks.arena === "vram";
  }

  /** Lane of the optimizer, which works where the master copy of the adapter is. */
  get optimizerLane(): "compute" | "host" {
    return this.onDevice ? "host" : "compute";
  }

  get inputBytes(): number {
    return this.#layout.bytes;
  }

  unitOf(block: number): string {
    return this.units.blocks[block]!;
  }

  /** Name of a block's procedures. */
  nameOf(block: number): string {
    return this.units.graphNames[this.inputs.model.blocks[block]!.graph]!;
  }

  adapterBytes(block: number): number {
    return this.units.adapters[this.inputs.model.blocks[block]!.graph]!.bytes;
  }

  /** Blocks that have adapter parameters. */
  get adapted(): readonly number[] {
    return this.blocks.filter((block) => this.adapterBytes(block) > 0);
  }

  /** Bytes of a micro-batch's matrix [B, S, H]. */
  matrixBytes(dtype: DType): number {
    const { sequence } = this.inputs.recipe;
    return tensorBytes([this.shape.microBatch, sequence.length, this.inputs.model.hidden], dtype);
  }

  /** Bytes of a micro-batch's vector [B, S]. */
  vectorBytes(dtype: DType): number {
    return tensorBytes([this.shape.microBatch, this.inputs.recipe.sequence.length], dtype);
  }

  /** Offset and bytes of one micro-batch's part of a step input. */
  rowRange(name: RowInput, mb: number): { offset: number; bytes: number } {
    const bytes = this.vectorBytes("i32");
    return { offset: this.#layout.rows(name) + mb * bytes, bytes };
  }

  /** One micro-batch's part of a step input, in the compute arena. */
  rows(name: RowInput, mb: number): ValuePlace {
    return at(this.onDevice ? "inputs.device" : "inputs", this.rowRange(name, mb).offset);
  }

  /** A scalar of the step, in the compute arena or where the optimizer runs. */
  scalar(name: ScalarInput, arena: ArenaName): ValuePlace {
    return at(arena === "ram" ? "inputs" : "inputs.device", this.#layout.scalar(name));
  }

  /** The residual stream that a block takes; past the last block, what the head takes. */
  stream(block: number, mb: number): ValuePlace {
    const name = this.units.blocks[block] ?? "head";
    return at(this.tasks.value(`stream/${name}/mb${mb}`, this.matrixBytes("f32"), "activation"));
  }

  /** The gradient of the residual stream, in place through all blocks. */
  gradientStream(mb: number): ValuePlace {
    return at(this.tasks.value(`grad/mb${mb}`, this.matrixBytes("f32"), "gradient"));
  }

  /** The gradient of all parameters, where the optimizer runs. */
  hostGradient(): string {
    return this.tasks.values.declare("gradient", "ram", this.adapter.bytes, "gradient", "train-step");
  }

  #declarePersistent(): void {
    const { tasks, shape } = this;
    const { arena } = tasks;
    const read = [...this.units.classes.keys()].map((unitClass) => slotBytes(this.units, unitClass));
    if (shape.embedding === "resident") {
      read.push(tensorByName(this.inputs, this.inputs.model.embedding).bytes);
    }
    tasks.persistent("staging", "ram", stagingBytes(Math.max(...read)), "staging");
    tasks.persistent("inputs", "ram", this.inputBytes, "input");
    tasks.persistent("outputs", "ram", OUTPUT_BYTES, "output");
    tasks.persistent("constants", arena, tensorBytes([constantsCount(this.inputs)], "f32"), "constant");
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

function constantsCount({ model }: Inputs): number {
  return Object.values(model.constants).reduce((sum, values) => sum + values.length, 0);
}

function firstParameters({ model }: Inputs): readonly number[] {
  const names = model.blocks.flatMap(({ parameters }) => parameters).toSorted(byName);
  const rank = new Map(names.map(({ name }, index) => [name, index]));
  return model.blocks.map(({ parameters }) => Math.min(...parameters.map(({ name }) => rank.get(name)!)));
}
