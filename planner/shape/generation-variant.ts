/** A model that generates: steps of prefill and decode, round and round through its units. */
import type { GenerationInputs } from "../../schemas/inputs.ts";
import type { ArenaName, ProgramName } from "../../schemas/plan.ts";
import { buildGenerationProcedures } from "../ir/generation-procedures.ts";
import type { Procedures } from "../ir/procedures.ts";
import type { Expanded, Shape, UnitSize } from "../ir/schedule.ts";
import { splitBlocks } from "../ir/split-blocks.ts";
import { type Activations, type Portion, type PortionText, Variant } from "../ir/variants.ts";
import { expandGeneration } from "../passes/expand-generation.ts";

/** Positions; a prefill step computes all of its chunk, however short the prompt. */
const USUAL_PROMPT = 128;

export class GenerationVariant extends Variant {
  declare readonly inputs: GenerationInputs;
  readonly order = "round";
  readonly #procedures = new Map<string, Procedures>();

  constructor(unitSize: UnitSize, inputs: GenerationInputs) {
    super(unitSize, inputs);
  }

  /** Positions of a prefill step. */
  get portions(): readonly Portion[] {
    return this.inputs.model.generation!.prefills.map(({ rows }) => ({ microBatch: 1, chunk: rows }));
  }

  get portionText(): PortionText {
    return {
      name: "prefill",
      recipePath: "memory",
      value: ({ chunk }) => String(chunk),
      reason:
        "positions a step: a longer one reads the weights less often, computes more than a short prompt has, and takes memory",
    };
  }

  get offloads(): readonly number[] {
    return [0];
  }

  get levers(): string {
    return "sequence.length";
  }

  procedures(shape: Shape): Procedures {
    const key = `${shape.chunk} ${shape.embedding}`;
    const known = this.#procedures.get(key);
    if (known) return known;
    const built = buildGenerationProcedures(this.inputs, this.units, shape);
    this.#procedures.set(key, built);
    return built;
  }

  expand(shape: Shape): Expanded {
    return expandGeneration(this, shape);
  }

  expandWork(shape: Shape): Expanded {
    return this.expand(shape);
  }

  /** A prompt and a reply of the same usual length, per position. */
  work({ chunk }: Shape): readonly { readonly program: ProgramName; readonly times: number }[] {
    return [
      { program: "decode", times: 1 },
      { program: "prefill", times: Math.ceil(USUAL_PROMPT / chunk) / USUAL_PROMPT },
    ];
  }

  /** What is needed next was needed longest ago: slots that take turns hold it for none of the units. */
  loads(units: number, slots: number): number {
    return units > slots ? units : 0;
  }

  leastBytes(): Readonly<Record<ArenaName, number>> {
    return { ram: 0, vram: 0 };
  }

  leastWork(): null {
    return null;
  }

  activations(): Activations {
    return { perBlock: 1, blocks: [] };
  }
}

export function buildGenerationVariants(inputs: GenerationInputs): readonly GenerationVariant[] {
  const split = splitBlocks(inputs.model);
  const whole = new GenerationVariant("block", inputs);
  return split === null ? [whole] : [whole, new GenerationVariant("stage", { ...inputs, model: split })];
}
