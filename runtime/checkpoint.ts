/**
 * Checkpoints of a run: `checkpoint-STEP/` and `final/`, each with
 *
 *     adapter_model.safetensors  adapter_config.json      as PEFT writes them
 *     optimizer.safetensors  lema_state.json              for a resume
 *     trainer_state.json                                  for Transformers and the tools around it
 *     manifest.json                                       digests, written last
 *
 * A checkpoint is made in a hidden directory, synced and renamed, so under its name it is complete or absent. Tensors
 * go from the arenas to the files in native code; here only the headers before them are written.
 */
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ADAPTER_METADATA } from "../models/adapter-file.ts";
import { peftConfigText } from "../models/peft-config.ts";
import type { SafetensorsDType } from "../models/safetensors.ts";
import { placedHeader } from "../models/safetensors-writer.ts";
import { type Diagnostic, DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import type { DType } from "../schemas/ops/define-op.ts";
import type { Plan, PlanSink } from "../schemas/plan.ts";
import type { LemaState, Manifest } from "../schemas/run.ts";
import { jsonText, syncDirectory, writeSynced } from "./files.ts";
import { checkManifest, writeManifest } from "./manifest.ts";
import { LEMA_STATE_FILE, lemaState, readState, TRAINER_STATE_FILE, trainerState } from "./trainer-state.ts";
import type { TrainingState } from "./training-state.ts";

export const ADAPTER_CONFIG_FILE = "adapter_config.json";
export const FINAL = "final";
const CHECKPOINT_NAME = /^checkpoint-(\d+)$/;

/** A file that native code fills from byte `base` on. */
export interface SinkFile {
  readonly sink: string;
  readonly path: string;
  /** Length of the header that stands there already. */
  readonly base: number;
}

export interface CheckpointSource {
  readonly plan: Plan;
  readonly state: TrainingState;
  /** Runs the plan's checkpoint program and syncs the files. */
  readonly writeTensors: (sinks: readonly SinkFile[]) => Promise<void>;
}

export interface SavedCheckpoint {
  readonly directory: string;
  readonly manifest: Manifest;
  readonly state: LemaState;
  readonly training: TrainingState;
  /** Warnings of newer ones that cannot be read. */
  readonly passedOver: readonly Diagnostic[];
}

export const checkpointName = (step: number): string => `checkpoint-${step}`;

/** Writes one checkpoint, in place of an earlier one of the same path. One that fails leaves nothing behind. */
export async function writeCheckpoint(path: string, source: CheckpointSource): Promise<Manifest> {
  const parent = dirname(path);
  const partial = join(parent, `.${basename(path)}.partial`);
  const replaced = join(parent, `.${basename(path)}.replaced`);
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial);
  const manifest = await fillCheckpoint(partial, source).catch(async (error: unknown) => {
    // On a full disk its bytes are what is needed to close the run's record.
    await rm(partial, { recursive: true, force: true });
    throw error;
  });
  await rm(replaced, { recursive: true, force: true });
  await rename(path, replaced).catch(ignoreMissing);
  await rename(partial, path);
  await syncDirectory(parent);
  await rm(replaced, { recursive: true, force: true });
  return manifest;
}

/** Everything of a checkpoint, the manifest last, on disk. */
async function fillCheckpoint(
  partial: string,
  { plan, state, writeTensors }: CheckpointSource,
): Promise<Manifest> {
  const sinks: SinkFile[] = [];
  for (const sink of plan.sinks) {
    const header = placedHeader(sink.tensors.map(describe), ADAPTER_METADATA);
    const file = join(partial, sink.file);
    await writeSynced(file, header);
    sinks.push({ sink: sink.id, path: file, base: header.length });
  }
  await writeTensors(sinks);
  const { base_model: baseModel, rank_pattern = [], alpha_pattern = [], ...lora } = plan.adapter;
  const config = { ...lora, baseModel, rankPattern: rank_pattern, alphaPattern: alpha_pattern };
  await writeSynced(join(partial, ADAPTER_CONFIG_FILE), peftConfigText(config));
  await writeSynced(join(partial, TRAINER_STATE_FILE), jsonText(trainerState(plan, state)));
  await writeSynced(join(partial, LEMA_STATE_FILE), jsonText(lemaState(plan, state)));
  const manifest = await writeManifest(partial);
  await syncDirectory(partial);
  return manifest;
}

/**
 * Removes all but the `keep` newest checkpoints. That of `current` stays, also where a run that went back to an older
 * checkpoint finds newer ones; `final/` stays always.
 */
export async function pruneCheckpoints(run: string, keep: number, current: number): Promise<void> {
  const others = (await checkpointSteps(run)).filter((step) => step !== current);
  for (const step of others.slice(0, Math.max(0, others.length - keep + 1))) {
    await rm(join(run, checkpointName(step)), { recursive: true });
  }
}

/** Reads and checks a checkpoint. Throws `checkpoint.incomplete` and `checkpoint.damaged`. */
export async function readCheckpoint(directory: string): Promise<SavedCheckpoint> {
  const manifest = await checkManifest(directory);
  const { lema, training } = await readState(directory);
  return { directory, manifest, state: lema, training, passedOver: [] };
}

/**
 * Finds the checkpoint to resume from: `latest`, or a name such as `checkpoint-500` or `final`. Throws
 * `checkpoint.not-found`.
 */
export async function findCheckpoint(run: string, wanted: string): Promise<SavedCheckpoint> {
  if (wanted !== "latest") return readCheckpoint(await existing(run, basename(wanted)));
  const steps = await checkpointSteps(run);
  const finals = (await entries(run)).filter((name) => name === FINAL);
  const candidates = [...steps.map(checkpointName), ...finals];
  const found: SavedCheckpoint[] = [];
  const damaged: Diagnostic[] = [];
  for (const name of candidates) {
    try {
      found.push(await readCheckpoint(join(run, name)));
    } catch (error) {
      if (!(error instanceof DiagnosticError)) throw error;
      damaged.push(...error.diagnostics); // Passed over as long as another can be read.
    }
  }
  const newest = found.toSorted((a, b) => a.state.step - b.state.step).at(-1);
  if (newest === undefined)
    throw damaged.length > 0
      ? new DiagnosticError(damaged)
      : notFound(
          run,
          "checkpoint",
          "it ended before its first one: remove all but plan.json, and begin anew",
        );
  const hint = `going on from ${basename(newest.directory)}`;
  return { ...newest, passedOver: damaged.map((one) => ({ ...one, severity: "warning", hint })) };
}

/** Steps of the run's checkpoints, ascending. */
async function checkpointSteps(run: string): Promise<number[]> {
  return (await entries(run))
    .flatMap((name) => CHECKPOINT_NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

async function existing(run: string, name: string): Promise<string> {
  const there = await entries(run);
  if (!there.includes(name)) {
    const found = there.filter((one) => one === FINAL || CHECKPOINT_NAME.test(one));
    throw notFound(
      run,
      name,
      found.length > 0 ? `it has ${found.join(", ")}` : "leave out `--resume` to begin anew",
    );
  }
  return join(run, name);
}

async function entries(run: string): Promise<string[]> {
  try {
    return await readdir(run);
  } catch (error) {
    ignoreMissing(error);
    return [];
  }
}

function notFound(run: string, what: string, hint: string): DiagnosticError {
  const summary = `${run} has no ${what}`;
  return new DiagnosticError(diagnostic("checkpoint.not-found", { summary, where: { file: run }, hint }));
}

const SAFETENSORS_NAMES: Readonly<Record<DType, SafetensorsDType>> = {
  f32: "F32",
  bf16: "BF16",
  f16: "F16",
  f64: "F64",
  i32: "I32",
};

function describe({ name, dtype, shape, offset }: PlanSink["tensors"][number]) {
  return { name, dtype: SAFETENSORS_NAMES[dtype], shape, offset };
}

function ignoreMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
}
