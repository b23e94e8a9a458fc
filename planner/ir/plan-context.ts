/**
 * What the tasks of any plan have in common: the shape, the places of step inputs and adapter, and the residual stream.
 *
 * With two tiers everything lives in ram. With three, kernels compute in vram, and step inputs and embedding rows are
 * copied there.
 */
import type { CommonInputs } from "../../schemas/inputs.ts";
import { type DType, tensorBytes } from "../../schemas/ops/define-op.ts";
import type { PlanProcedure } from "../../schemas/plan.ts";
import type { Shape, ValuePlace } from "./schedule.ts";
import { TaskWriter } from "./task-writer.ts";
import { tensorByName, type Units } from "./units.ts";
import { adapterOffsets, at, computeArena, slotBytes, stagingBytes } from "./values.ts";

/** Step inputs of one number a position that every program has. */
export type PositionInput = "tokens" | "positions";

export abstract class PlanContext {
  readonly inputs: CommonInputs;
  readonly units: Units;
  readonly shape: Shape;
  readonly tasks: TaskWriter;
  /** Blocks of the chain: layers, or their stages. */
  readonly blocks: readonly number[];
  readonly adapter: { readonly offsets: readonly number[]; readonly bytes: number };
  protected readonly constantsCount: number;

  constructor(inputs: CommonInputs, units: Units, shape: Shape, procedures: readonly PlanProcedure[]) {
    this.inputs = inputs;
    this.units = units;
    this.shape = shape;
    this.tasks = new TaskWriter(computeArena(shape), procedures);
    this.blocks = inputs.model.blocks.map((_, index) => index);
    this.adapter = adapterOffsets(inputs, units);
    this.constantsCount = Object.values(inputs.model.constants).reduce(
      (sum, values) => sum + values.length,
      0,
    );
  }

  abstract readonly microBatches: readonly number[];
  /** Positions of each sequence of a micro-batch in the running program. */
  abstract get positions(): number;
  /** What the names of procedures over that many positions end with. */
  abstract get suffix(): string;
  /** Bytes of all step inputs. */
  abstract get inputBytes(): number;
  /** Offset and bytes of one micro-batch's part of a step input. */
  abstract rowRange(name: PositionInput, mb: number): { offset: number; bytes: number };

  /** Whether kernels compute in vram. */
  get onDevice(): boolean {
    return this.tasks.arena === "vram";
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

  /** Bytes of a micro-batch's matrix [B, S, H]. */
  matrixBytes(dtype: DType): number {
    return tensorBytes([this.shape.microBatch, this.positions, this.inputs.model.hidden], dtype);
  }

  /** Bytes of a micro-batch's vector [B, S]. */
  vectorBytes(dtype: DType): number {
    return tensorBytes([this.shape.microBatch, this.positions], dtype);
  }

  /** Bytes of the cosines (and of the sines) of a micro-batch. */
  get tableBytes(): number {
    return this.vectorBytes("f32") * this.constantsCount;
  }

  /** One micro-batch's part of a step input, in the compute arena. */
  positionInput(name: PositionInput, mb: number): ValuePlace {
    return this.input(this.rowRange(name, mb).offset);
  }

  /** A place among the step inputs, in the compute arena. */
  input(offset: number): ValuePlace {
    return at(this.onDevice ? "inputs.device" : "inputs", offset);
  }

  /** The residual stream that a block takes; past the last block, what the head takes. */
  stream(block: number, mb: number): ValuePlace {
    return this.placeOf("stream", block, mb, () => {
      const name = this.units.blocks[block] ?? "head";
      return at(this.tasks.value(`stream/${name}/mb${mb}`, this.matrixBytes("f32"), "activation"));
    });
  }

  /** A place of a block's micro-batch that several tasks of a program name. */
  placeOf(what: string, block: number, mb: number, make: () => ValuePlace): ValuePlace {
    return this.tasks.place(what, block * this.microBatches.length + mb, make);
  }

  protected get constantBytes(): number {
    return tensorBytes([this.constantsCount], "f32");
  }

  /** Room for whatever the disk lane reads at once. */
  protected get stagingBytes(): number {
    const read = [...this.units.classes.keys()].map((unitClass) => slotBytes(this.units, unitClass));
    if (this.shape.embedding === "resident") {
      read.push(tensorByName(this.inputs, this.inputs.model.embedding).bytes);
    }
    return stagingBytes(Math.max(...read));
  }
}
