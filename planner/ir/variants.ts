/**
 * The same model with units of different size: whole blocks, and the stages that its graphs declare. A variant knows
 * its units, and remembers the procedures of each micro-batch, which many candidate shapes share.
 */
import type { Inputs } from "../../schemas/inputs.ts";
import { buildProcedures, type Procedures } from "./procedures.ts";
import type { Shape, UnitSize } from "./schedule.ts";
import { splitBlocks } from "./split-blocks.ts";
import { buildUnits, type Units } from "./units.ts";

export class Variant {
  readonly unitSize: UnitSize;
  readonly inputs: Inputs;
  readonly units: Units;
  readonly #procedures = new Map<string, Procedures>();

  constructor(unitSize: UnitSize, inputs: Inputs) {
    this.unitSize = unitSize;
    this.inputs = inputs;
    this.units = buildUnits(inputs);
  }

  procedures({ microBatch, embedding, keep }: Pick<Shape, "microBatch" | "embedding" | "keep">): Procedures {
    const saving = keep > 0;
    const key = `${microBatch} ${embedding} ${saving}`;
    const known = this.#procedures.get(key);
    if (known) return known;
    const built = buildProcedures(this.inputs, this.units, { microBatch, embedding, saving });
    this.#procedures.set(key, built);
    return built;
  }
}

export function buildVariants(inputs: Inputs): readonly Variant[] {
  const split = splitBlocks(inputs.model);
  const whole = new Variant("block", inputs);
  return split === null ? [whole] : [whole, new Variant("stage", { ...inputs, model: split })];
}
