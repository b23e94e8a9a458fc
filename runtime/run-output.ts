/**
 * Everything that a training writes while it runs: run.json, metrics.jsonl, TensorBoard events, checkpoints, trace.json.
 * The run directory was claimed before; nothing here decides what the training does.
 */
import { join } from "node:path";
import type { Plan } from "../schemas/plan.ts";
import {
  type EvalMetric,
  RUN_FORMAT_VERSION,
  type RunRecord,
  type RunTrace,
  type TrainMetric,
} from "../schemas/run.ts";
import { checkpointName, FINAL, pruneCheckpoints, type SinkFile, writeCheckpoint } from "./checkpoint.ts";
import { jsonText, replaceFile } from "./files.ts";
import { MetricsFile } from "./metrics.ts";
import { processBytes } from "./preflight.ts";
import { PLAN_FILE, TRACE_FILE, writeRecord } from "./run-directory.ts";
import type { DeviceMemory } from "./session.ts";
import { EventFile } from "./tensorboard.ts";
import type { TrainingState } from "./training-state.ts";

/** What a run is made with, beside its plan. */
export interface RunOrigin {
  readonly lemaVersion: string;
  readonly backend: RunRecord["backend"];
  readonly device: string;
  /** Digest of the native module. */
  readonly build: string;
  readonly threads: number;
  /** Name of the checkpoint, or null for a new run. */
  readonly resumedFrom: string | null;
}

type WriteTensors = (sinks: readonly SinkFile[]) => Promise<void>;

/** Bytes at the peak. */
export interface MeasuredMemory {
  /** Null where the system does not tell. */
  readonly process: number | null;
  readonly device: DeviceMemory | null;
}

export class RunOutput {
  readonly #directory: string;
  readonly #plan: Plan;
  readonly #metrics: MetricsFile;
  readonly #events: EventFile;
  #record: RunRecord;

  private constructor(directory: string, plan: Plan, files: [MetricsFile, EventFile], record: RunRecord) {
    this.#directory = directory;
    this.#plan = plan;
    [this.#metrics, this.#events] = files;
    this.#record = record;
  }

  static async begin(
    directory: string,
    plan: Plan,
    origin: RunOrigin,
    state: TrainingState,
  ): Promise<RunOutput> {
    const now = new Date();
    const { vram } = plan.budgets;
    const record: RunRecord = {
      format_version: RUN_FORMAT_VERSION,
      lema_version: origin.lemaVersion,
      plan_id: plan.plan_id,
      status: "running",
      backend: origin.backend,
      device: origin.device,
      build: origin.build,
      threads: origin.threads,
      started_at: now.toISOString(),
      finished_at: null,
      resumed_from: origin.resumedFrom,
      steps: state.step,
      total_steps: plan.training.steps,
      tokens: state.tokens,
      loss: state.losses,
      memory: {
        ram: { planned: processBytes(plan.budgets, origin.backend), measured: null },
        vram: vram === null ? null : { planned: vram.total, measured: null },
        device: null,
      },
      adapter: null,
    };
    await replaceFile(join(directory, PLAN_FILE), jsonText(plan));
    await writeRecord(directory, record);
    const metrics = await MetricsFile.open(directory, state.step);
    const events = await EventFile.create(directory, state.step + 1, now);
    return new RunOutput(directory, plan, [metrics, events], record);
  }

  async stepped(row: TrainMetric): Promise<void> {
    await this.#metrics.append(row);
    const values: Record<string, number> = { "train/loss": row.loss, "train/learning_rate": row.lr };
    if (row.grad_norm !== null) values["train/grad_norm"] = row.grad_norm;
    await this.#events.scalars(row.step, values, new Date());
  }

  async evaluated(row: EvalMetric): Promise<void> {
    await this.#metrics.append(row);
    await this.#events.scalars(row.step, { "eval/loss": row.eval_loss }, new Date());
  }

  /** Writes checkpoint-STEP, then removes those beyond the plan's `checkpoint_keep`. Returns its path. */
  async checkpoint(state: TrainingState, writeTensors: WriteTensors): Promise<string> {
    const path = join(this.#directory, checkpointName(state.step));
    await writeCheckpoint(path, { plan: this.#plan, state, writeTensors });
    await pruneCheckpoints(this.#directory, this.#plan.training.checkpoint_keep, state.step);
    return path;
  }

  /** Writes final/. Returns its path. */
  async finish(state: TrainingState, writeTensors: WriteTensors): Promise<string> {
    const path = join(this.#directory, FINAL);
    const { files } = await writeCheckpoint(path, { plan: this.#plan, state, writeTensors });
    const adapter = files[ADAPTER_FILE];
    this.#record = { ...this.#record, adapter: adapter === undefined ? null : `sha256:${adapter.sha256}` };
    return path;
  }

  async trace(content: RunTrace): Promise<void> {
    await replaceFile(join(this.#directory, TRACE_FILE), jsonText(content));
  }

  /** Closes the record. */
  async end(status: RunRecord["status"], state: TrainingState, measured: MeasuredMemory): Promise<void> {
    const { ram, vram } = this.#record.memory;
    this.#record = {
      ...this.#record,
      status,
      finished_at: new Date().toISOString(),
      steps: state.step,
      tokens: state.tokens,
      loss: state.losses,
      memory: {
        ram: { ...ram, measured: measured.process },
        vram: vram === null ? null : { ...vram, measured: measured.device?.peak ?? null },
        device: measured.device,
      },
    };
    await writeRecord(this.#directory, this.#record);
  }
}

const ADAPTER_FILE = "adapter_model.safetensors";
