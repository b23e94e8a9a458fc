/**
 * A generation plan and its engine: tokens go in, logits come out, and the caches remember. The only file that turns
 * tokens into the step inputs of `prefill` and `decode`.
 *
 * Calls follow one another: a `feed` may begin when the one before has ended.
 */
import { encodeFloats } from "../models/float-codec.ts";
import { DiagnosticError, diagnostic, invariant } from "../schemas/diagnostic.ts";
import { elements } from "../schemas/ops/define-op.ts";
import type { GenerationPlan, ProgramName } from "../schemas/plan.ts";
import { type Engine, type EngineOptions, type InstructionSpan, openEngine } from "./addon.ts";

export interface GenerationFiles {
  /** File id of the plan → path. */
  readonly paths: ReadonlyMap<string, string>;
  /** Values of the plan's parameters by PEFT's names; null where it has none. */
  readonly adapter: ReadonlyMap<string, Float32Array> | null;
}

export class GenerationSession {
  readonly plan: GenerationPlan;
  readonly vocabulary: number;
  readonly #engine: Engine;
  readonly #logits: GenerationPlan["step_outputs"][number]["at"];
  /** Step inputs of [1, chunk]; what stands behind the new positions counts for nothing. */
  readonly #tokens: Int32Array;
  readonly #positions: Int32Array;
  /** The most tokens that are quicker one by one than in a prefill step. */
  readonly #few: number;
  #length = 0;

  private constructor(plan: GenerationPlan, engine: Engine) {
    const { chunk } = plan.generation;
    const logits = plan.step_outputs.find(({ name }) => name === "logits");
    invariant(logits?.shape, "a generation plan has logits");
    this.plan = plan;
    this.vocabulary = elements(logits.shape);
    this.#engine = engine;
    this.#logits = logits.at;
    this.#tokens = new Int32Array(chunk);
    this.#positions = new Int32Array(chunk);
    this.#few = Math.max(1, Math.floor(predicted(plan, "prefill") / predicted(plan, "decode")));
  }

  /** Loads the plan, its weights and its adapter, and empties the caches. */
  static async open(
    plan: GenerationPlan,
    { paths, adapter }: GenerationFiles,
    options: EngineOptions,
  ): Promise<GenerationSession> {
    const engine = openEngine(options);
    try {
      await engine.load({ ...plan, sinks: [] }, paths);
      for (const { name, shape, value } of plan.parameters) {
        const values = adapter?.get(name);
        invariant(values?.length === elements(shape), `the adapter has no ${name} [${shape.join(", ")}]`);
        engine.writeTensor(value, encodeFloats(values, "f32"));
      }
      await engine.run({ program: "decode", part: "prologue" });
      return new GenerationSession(plan, engine);
    } catch (error) {
      engine.close();
      throw error;
    }
  }

  /** Positions that the caches hold. */
  get length(): number {
    return this.#length;
  }

  /** Positions that they have room for. */
  get capacity(): number {
    return this.plan.generation.capacity;
  }

  /**
   * Appends at least one token; logits [V] of what comes behind the last. Which program takes how many of them changes
   * no bit. Throws `generation.context-full` before anything is computed.
   */
  async feed(tokens: readonly number[]): Promise<Float32Array> {
    invariant(tokens.length > 0, "nothing to feed");
    this.#checkRoom(tokens.length);
    const { chunk } = this.plan.generation;
    for (let start = 0; start < tokens.length; ) {
      const left = tokens.length - start;
      const step = left <= this.#few ? 1 : Math.min(chunk, left);
      await this.#step(step > 1 ? "prefill" : "decode", tokens.slice(start, start + step));
      start += step;
    }
    const bytes = this.#engine.readTensor(this.#logits, 4 * this.vocabulary);
    return new Float32Array(new Uint8Array(bytes).buffer);
  }

  /** Forgets all but the first `length` positions; the next tokens are fed behind them. */
  rewind(length: number): void {
    invariant(length >= 0 && length <= this.#length, `cannot go back from ${this.#length} to ${length}`);
    this.#length = length;
  }

  /** When each instruction of the last step began and ended. */
  trace(): readonly InstructionSpan[] {
    return this.#engine.trace();
  }

  async close(): Promise<void> {
    this.#engine.close();
  }

  async #step(program: "prefill" | "decode", tokens: readonly number[]): Promise<void> {
    // What stands behind is read like the rest: one row of the table again and again.
    this.#tokens.fill(tokens.at(-1)!);
    this.#tokens.set(tokens);
    this.#positions.forEach((_, index) => {
      this.#positions[index] = Math.min(this.#length + index, this.capacity - 1);
    });
    const inputs = [
      { name: "tokens", bytes: bytesOf(this.#tokens) },
      { name: "positions", bytes: bytesOf(this.#positions) },
      { name: "kv_length", bytes: bytesOf(Int32Array.of(this.#length)) },
      { name: "new_tokens", bytes: bytesOf(Int32Array.of(tokens.length)) },
    ];
    await this.#engine.run({ program, part: "steady", inputs });
    this.#length += tokens.length;
  }

  #checkRoom(count: number): void {
    if (this.#length + count <= this.capacity) return;
    throw new DiagnosticError(
      diagnostic("generation.context-full", {
        summary: `${count} tokens do not fit behind ${this.#length} in a context of ${this.capacity}`,
        hint: "shorten the text, or open with a longer context",
      }),
    );
  }
}

/** Nanoseconds of a step of a program, as predicted. */
function predicted({ predictions }: GenerationPlan, program: ProgramName): number {
  const prediction = predictions.find((one) => one.program === program);
  return Math.max(1, prediction?.step_ns ?? 1);
}

function bytesOf({ buffer, byteOffset, byteLength }: Int32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
