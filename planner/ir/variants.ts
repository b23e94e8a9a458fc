/**
 * The same model with units of different size: whole blocks, and the stages that its graphs declare. A variant knows its
 * units, and what is particular of the work that a plan is made for: a training or a generation.
 */
import type { CommonInputs } from "../../schemas/inputs.ts";
import type { ArenaName, PlanProcedure, ProgramName } from "../../schemas/plan.ts";
import { attendedBy } from "../cost/attended.ts";
import { type CostModel, costModel } from "../cost/duration.ts";
import type { KeptActivations } from "../shape/kept-activations.ts";
import type { Footprint } from "./effects.ts";
import type { Procedures } from "./procedures.ts";
import type { Expanded, Shape, UnitSize } from "./schedule.ts";
import { buildUnits, type Units } from "./units.ts";

/** The part of a shape that says how much moves together. */
export type Portion = Pick<Shape, "microBatch" | "chunk">;

/** What a choice between portions is called in a plan. */
export interface PortionText {
  readonly name: string;
  readonly recipePath: string;
  readonly value: (portion: Portion) => string;
  readonly reason: string;
}

/** A step's work as far as it is known without a schedule. */
export interface LeastWork {
  readonly runs: readonly {
    /** On the way up through the blocks, in the head, on the way down, or by the host behind all of them. */
    readonly when: "up" | "head" | "down" | "end";
    readonly procedure: string;
    readonly times: number;
  }[];
  /** Bytes of block inputs that go to ram and come back. */
  readonly aside: number;
  /** Embedding rows of the first micro-batch. */
  readonly rows: number;
}

/** What forwards may keep for their backward. */
export interface Activations {
  /** Forwards of a block in a step. */
  readonly perBlock: number;
  /** Of one forward of each block: the bytes, the procedure that recomputes them, and the one that takes them as kept. */
  readonly blocks: readonly { readonly bytes: number; readonly before: string; readonly after: string }[];
}

export abstract class Variant {
  readonly unitSize: UnitSize;
  readonly inputs: CommonInputs;
  readonly units: Units;
  /** What procedures touch and cost is worked out once, as many candidate shapes share them. */
  readonly footprints = new Map<PlanProcedure, Footprint>();
  readonly keptActivations = new Map<readonly PlanProcedure[], KeptActivations>();
  readonly #costs = new Map<readonly PlanProcedure[], CostModel>();

  constructor(unitSize: UnitSize, inputs: CommonInputs) {
    this.unitSize = unitSize;
    this.inputs = inputs;
    this.units = buildUnits(inputs);
  }

  costs(procedures: readonly PlanProcedure[]): CostModel {
    const known =
      this.#costs.get(procedures) ?? costModel(procedures, this.inputs.hardware, attendedBy(this.inputs));
    this.#costs.set(procedures, known);
    return known;
  }

  /** How a step goes through the blocks. */
  abstract readonly order: Expanded["order"];
  /** What may move together, from the largest down. */
  abstract get portions(): readonly Portion[];
  abstract get portionText(): PortionText;
  /** With a vram tier: how many of the first blocks may put their input aside in ram, from none to all. */
  abstract get offloads(): readonly number[];
  /** What a smaller budget needs less of, in the recipe's words. */
  abstract get levers(): string;
  /** Remembered, as many candidate shapes share them. */
  abstract procedures(shape: Shape): Procedures;
  abstract expand(shape: Shape): Expanded;
  /** The programs of its work alone: the others take neither time nor more memory. */
  abstract expandWork(shape: Shape): Expanded;
  /** The programs that a step of the work consists of, and how often it runs each. */
  abstract work(shape: Shape): readonly { readonly program: ProgramName; readonly times: number }[];
  /** Loads that a run of the work's program makes of a class with so many units that take turns in so many slots. */
  abstract loads(units: number, slots: number): number;
  /** Bytes of each tier that no schedule of a shape that keeps nothing does without at its fullest moment. */
  abstract leastBytes(shape: Shape): Readonly<Record<ArenaName, number>>;
  /** What every schedule of a shape that keeps nothing does in a step; `null` where that is not known beforehand. */
  abstract leastWork(shape: Shape): LeastWork | null;
  /** The activations that forwards may keep. */
  abstract activations(shape: Shape): Activations;
}
