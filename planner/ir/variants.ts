/**
 * The same model with units of different size: whole blocks, and the stages that its graphs declare. A variant knows
 * its units, and remembers the procedures of each micro-batch, which many candidate shapes share.
 */
import type { Inputs } from "../../schemas/inputs.ts";
import { buildProcedures, type Derivatives, differentiateAll, type Procedures } from "./procedures.ts";
import type { Shape, UnitSize } from "./schedule.ts";
import { splitBlocks } from "./split-blocks.ts";
import { buildUnits, type Units } from "./units.ts";

export class Variant {
  readonly unitSize: UnitSize;
  readonly inputs: Inputs;
  readonly units: Units;
  #derivatives: Derivatives | undefined;
  readonly #procedures = new Map<string, Procedures>();

  constructor(unitSize: UnitSize, inputs: Inputs) {
    this.unitSize = unitSize;
    this.inputs = inputs;
    this.units = buildUnits(inputs);
  }

  procedures({ microBatch, embedding }: Shape): Procedures {
    const key = `${microBatch} ${embedding}`;
    const known = this.#procedures.get(key);
    if (known) return known;
    this.#derivatives ??= differentiateAll(this.inputs);
    const built = buildProcedures(this.inputs, this.units, this.#derivatives, { microBatch, embedding });
    this.#procedures.set(key, built);
    return built;
  }
}

export function buildVariants(inputs: Inputs): readonly Variant[] {
  const split = splitBlocks(inputs.model);
  const whole = new Variant("block", inputs);
  return split === null ? [whole] : [whole, new Variant("stage", { ...inputs, model: split })];
}
