/**
 * A loaded plan and its engine in the plan's own words: steps, places, checkpoints. The only file that turns step
 * inputs into bytes and step outputs into numbers.
 *
 * Order of calls: write the parameters' first values, `start`, then any sequence of `step`, `evaluate` and `checkpoint`.
 */
import { createHash } from "node:crypto";
import type { StepInputs } from "../data/order.ts";
import { invariant } from "../schemas/diagnostic.ts";
import { elements } from "../schemas/ops/define-op.ts";
import type { Place, Plan, PlanParameter } from "../schemas/plan.ts";
import { type Engine, type EngineOptions, type InstructionSpan, openEngine, type RunStats } from "./addon.ts";
import type { SinkFile } from "./checkpoint.ts";
import { inverseTokens, type StepScalars } from "./scalars.ts";

export interface StepResult {
  /** Mean over the supervised tokens. */
  readonly loss: number;
  /** Global norm before clipping. */
  readonly gradNorm: number;
  /** The update was not applied, because the norm is not finite. */
  readonly skipped: boolean;
  /** `sha256:…` over the digests of the parameters' values after the step, in the plan's order. */
  readonly adapter: string;
  readonly stats: RunStats;
}

/** Bytes in use on the device, by whomever: what lema did not take shows in all three. */
export interface DeviceMemory {
  /** Before the arena: the context, the kernels, and other programs. */
  readonly before: number;
  /** With the arena, streams and events: all that a run needs. */
  readonly loaded: number;
  /** The most after any step. */
  readonly peak: number;
}

type RowInput = keyof typeof rowArrays;

/** Step inputs of [batch_size, sequence_length] and the arrays they come from. */
const rowArrays = {
  tokens: (inputs: StepInputs) => inputs.tokens,
  labels: (inputs: StepInputs) => inputs.labels,
  positions: (inputs: StepInputs) => inputs.positions,
  segment_start: (inputs: StepInputs) => inputs.segmentStart,
};

export class PlanSession {
  readonly plan: Plan;
  readonly #engine: Engine;
  #device: DeviceMemory | null;

  private constructor(plan: Plan, engine: Engine, device: DeviceMemory | null) {
    this.plan = plan;
    this.#engine = engine;
    this.#device = device;
  }

  /** Loads the plan: arenas are allocated and constants written. `paths`: file id → path. */
  static async open(
    plan: Plan,
    paths: ReadonlyMap<string, string>,
    options: EngineOptions,
  ): Promise<PlanSession> {
    const engine = openEngine(options);
    try {
      const { deviceBytesBefore: before, deviceBytesAfter: loaded } = await engine.load(plan, paths);
      return new PlanSession(plan, engine, loaded === 0 ? null : { before, loaded, peak: loaded });
    } catch (error) {
      engine.close();
      throw error;
    }
  }

  /** From empty weight slots to the steady state. */
  async start(): Promise<void> {
    await this.#engine.run({ program: "train-step", part: "prologue" });
  }

  /** One optimizer step. */
  async step(inputs: StepInputs, scalars: StepScalars): Promise<StepResult> {
    const values = Object.entries(scalars).map(([name, value]) => ({
      name,
      bytes: bytesOf(Float32Array.of(value)),
    }));
    const stats = await this.#engine.run({
      program: "train-step",
      part: "steady",
      inputs: [...rowValues(inputs), ...values],
    });
    this.#watchDevice();
    return {
      loss: await this.#output("loss"),
      gradNorm: await this.#output("grad_norm"),
      skipped: (await this.#output("skip")) !== 0,
      adapter: await this.#adapterDigest(),
      stats,
    };
  }

  /** Mean loss over the supervised tokens of some rows; changes no parameter. */
  async evaluate(inputs: StepInputs): Promise<number> {
    const scalar = {
      name: "inverse_tokens",
      bytes: bytesOf(Float32Array.of(inverseTokens(inputs.supervisedTokens))),
    };
    await this.#engine.run({ program: "evaluate", part: "steady", inputs: [...rowValues(inputs), scalar] });
    return this.#output("loss");
  }

  /** Writes adapter and optimizer state into files whose headers stand already, and syncs them. */
  async checkpoint(sinks: readonly SinkFile[]): Promise<void> {
    await this.#engine.run({ program: "checkpoint", part: "steady", sinks, sync: true });
  }

  async read(place: Place, bytes: number): Promise<Uint8Array> {
    return this.#engine.readTensor(place, bytes);
  }

  async write(place: Place, bytes: Uint8Array): Promise<void> {
    await this.#engine.writeTensor(place, bytes);
  }

  /** A parameter's value, its last gradient (before clipping), or a moment: float32, row by row. */
  async readParameter(
    parameter: PlanParameter,
    what: "value" | "gradient" | "first_moment" | "second_moment",
  ): Promise<Float32Array> {
    const bytes = await this.read(parameter[what], 4 * elements(parameter.shape));
    return new Float32Array(new Uint8Array(bytes).buffer);
  }

  /** Null where the backend computes in host memory. */
  get deviceMemory(): DeviceMemory | null {
    return this.#device;
  }

  #watchDevice(): void {
    if (this.#device === null) return;
    const peak = Math.max(this.#device.peak, this.#engine.deviceBytes());
    this.#device = { ...this.#device, peak };
  }

  /** When each instruction of the last run began and ended. */
  trace(): readonly InstructionSpan[] {
    return this.#engine.trace();
  }

  /** Stops the step under way, if one is; its promise rejects with `run.cancelled`. */
  cancel(): void {
    this.#engine.cancel();
  }

  close(): void {
    this.#engine.close();
  }

  /**
   * Of the parameters' digests, tensor by tensor: where they lie depends on the budget, their order and values do not.
   * One hash over all values would be a fifth of a GPU's step.
   */
  async #adapterDigest(): Promise<string> {
    const values = this.plan.parameters.map(({ value, shape }) => ({
      at: value,
      bytes: 4 * elements(shape),
    }));
    const digests = await this.#engine.digest(values);
    return `sha256:${createHash("sha256").update(digests).digest("hex")}`;
  }

  async #output(name: string): Promise<number> {
    const output = this.plan.step_outputs.find((candidate) => candidate.name === name);
    invariant(output, `the plan has no step output ${name}`);
    const size = output.dtype === "f64" ? 8 : 4;
    const { buffer, byteOffset } = await this.read(output.at, size);
    const view = new DataView(buffer, byteOffset, size);
    if (output.dtype === "f64") return view.getFloat64(0, true);
    return output.dtype === "i32" ? view.getInt32(0, true) : view.getFloat32(0, true);
  }
}

function rowValues(inputs: StepInputs): { name: string; bytes: Uint8Array }[] {
  return (Object.keys(rowArrays) as RowInput[]).map((name) => ({
    name,
    bytes: bytesOf(rowArrays[name](inputs)),
  }));
}

function bytesOf({ buffer, byteOffset, byteLength }: Int32Array | Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
