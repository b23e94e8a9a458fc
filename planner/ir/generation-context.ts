/**
 * What the tasks of a generation's programs have in common: `prefill` takes up to a chunk of positions, `decode` one, and
 * both stand behind the positions that the caches hold.
 */
import { concreteShape } from "../../schemas/graph.ts";
import type { GenerationInputs } from "../../schemas/inputs.ts";
import { tensorBytes } from "../../schemas/ops/define-op.ts";
import { PlanContext, type PositionInput } from "./plan-context.ts";
import type { Procedures } from "./procedures.ts";
import type { Shape, ValuePlace } from "./schedule.ts";
import type { Units } from "./units.ts";
import { at, cacheBuffer, generationInputs, type LengthInput } from "./values.ts";

export class GenerationContext extends PlanContext {
  declare readonly inputs: GenerationInputs;
  readonly microBatches = [0];
  readonly #layout: ReturnType<typeof generationInputs>;

  constructor(inputs: GenerationInputs, units: Units, shape: Shape, procedures: Procedures) {
    super(inputs, units, shape, procedures.all);
    this.#layout = generationInputs(shape.chunk);
    this.#declarePersistent();
  }

  get positions(): number {
    return this.tasks.program === "prefill" ? this.shape.chunk : 1;
  }

  get suffix(): string {
    return this.tasks.program === "prefill" ? PREFILL : "";
  }

  get inputBytes(): number {
    return this.#layout.bytes;
  }

  rowRange(name: PositionInput): { offset: number; bytes: number } {
    return { offset: this.#layout.at[name], bytes: this.vectorBytes("i32") };
  }

  /** The positions that the caches hold, or those of the step. */
  length(name: LengthInput): ValuePlace {
    return this.input(this.#layout.at[name]);
  }

  /** Bytes of a block's keys, and of its values; 0 where it attends to nothing. */
  cacheBytes(block: number): number {
    const { k_cache: keys } = this.inputs.model.graphs[this.inputs.model.blocks[block]!.graph]!.values;
    return keys === undefined ? 0 : tensorBytes(concreteShape(keys.shape, 1), keys.dtype);
  }

  /** Where a block's keys and values are. */
  cache(block: number): Readonly<Record<string, ValuePlace>> {
    const bytes = this.cacheBytes(block);
    if (bytes === 0) return {};
    const buffer = cacheBuffer(this.unitOf(block));
    return { k_cache: at(buffer), v_cache: at(buffer, bytes) };
  }

  /** Logits of the whole vocabulary, where kernels compute. */
  logits(row: number): ValuePlace {
    const bytes = this.logitsBytes;
    const buffer = this.onDevice ? this.tasks.value("logits.device", bytes, "activation") : "logits";
    return at(buffer, tensorBytes([row], "f32"));
  }

  get logitsBytes(): number {
    return tensorBytes([this.inputs.model.vocabulary], "f32");
  }

  #declarePersistent(): void {
    const { tasks, shape } = this;
    const { arena } = tasks;
    tasks.persistent("staging", "ram", this.stagingBytes, "staging");
    tasks.persistent("inputs", "ram", this.inputBytes, "input");
    tasks.persistent("logits", "ram", this.logitsBytes, "output");
    tasks.persistent("constants", arena, this.constantBytes, "constant");
    tasks.persistent("adapter", "ram", this.adapter.bytes, "adapter");
    for (const block of this.blocks) {
      tasks.persistent(cacheBuffer(this.unitOf(block)), arena, 2 * this.cacheBytes(block), "cache");
    }
    if (!this.onDevice) return;
    tasks.persistent("inputs.device", "vram", this.inputBytes, "input");
    if (shape.adapter === "resident") {
      tasks.persistent("adapter.device", "vram", this.adapter.bytes, "adapter");
    }
  }
}

/** What the names of prefill's procedures end with. */
export const PREFILL = ".prefill";
