/**
 * From a model, an adapter or a run to a session that generates: finds the files, plans for the memory that there is,
 * and opens the engine on the plan.
 */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { openCheckpoint } from "../models/checkpoint.ts";
import { describeLlamaGeneration } from "../models/describe-llama.ts";
import { digestCheckpoint } from "../models/digest.ts";
import type { JsonObject } from "../models/field-reader.ts";
import { checkLlamaTensors, type LlamaConfig, readLlamaConfig } from "../models/llama.ts";
import { uniformLora } from "../models/lora.ts";
import { readPeftAdapter } from "../models/peft.ts";
import { ADAPTER_CONFIG_FILE } from "../models/peft-settings.ts";
import type { EngineOptions } from "../runtime/addon.ts";
import { FINAL } from "../runtime/checkpoint.ts";
import { GenerationSession } from "../runtime/generation-session.ts";
import { availableBytes } from "../runtime/memory.ts";
import { checkExecutable } from "../runtime/preflight.ts";
import { PLAN_FILE } from "../runtime/run-directory.ts";
import { type Diagnostic, DiagnosticError, diagnostic, exitCodeOf } from "../schemas/diagnostic.ts";
import type { HardwareProfile } from "../schemas/hardware.ts";
import { type GenerationInputs, type GenerationRecipe, numericsFor } from "../schemas/inputs.ts";
import { opTableHash } from "../schemas/op-table.ts";
import type { GenerationPlan } from "../schemas/plan.ts";
import { bytes } from "../schemas/units.ts";
import { type AdapterRun, findAdapter, openBase } from "./find-adapter.ts";

export interface GenerationRequest {
  /** A model directory (a base or a merged model), a run, one of its checkpoints, or a PEFT adapter. */
  readonly model: string;
  /** Whether an adapter is applied, unmerged, or left out to hear the base alone. */
  readonly adapter: "applied" | "left out";
  /** Directory of the base model; null: where the run or the adapter says it is. */
  readonly base: string | null;
  /** Positions that the cache has room for; null: the usual number, or less where the model has fewer. */
  readonly context: number | null;
  /** Totals in bytes; null: what is free, of which a plan takes what it needs. No `vram` on a processor: no such tier. */
  readonly memory: { readonly ram: number | null; readonly vram: number | null };
  readonly cwd: string;
  /** Where digests are kept; null: nowhere. */
  readonly cacheDirectory: string | null;
  readonly onProgress?: (text: string) => void;
}

/** What plans and runs it: the command line, or a user of the library, knows both. */
export interface GenerationMachine {
  readonly hardware: HardwareProfile;
  readonly lemaVersion: string;
  readonly compile: (inputs: GenerationInputs) => {
    readonly plan?: GenerationPlan;
    readonly diagnostics: readonly Diagnostic[];
  };
  readonly engine: EngineOptions;
  /** Bytes that are free on the device that computes; absent where a processor does. */
  readonly freeVram?: number;
}

/** Beside the session: what spells its tokens. */
export interface GenerationFiles {
  /** The directory of config.json, the tokenizer's files and the weights. */
  readonly modelDirectory: string;
  /** Null without an adapter, or where it is left out. */
  readonly adapterDirectory: string | null;
  /** The run that the adapter comes from: its recipe knows the chat template. */
  readonly run: AdapterRun | null;
  /** Warnings. */
  readonly diagnostics: readonly Diagnostic[];
}

export interface PlannedGeneration {
  readonly plan: GenerationPlan;
  readonly files: GenerationFiles;
  /** Values of the plan's parameters by PEFT's names. */
  readonly values: ReadonlyMap<string, Float32Array> | null;
}

export interface OpenGeneration {
  readonly session: GenerationSession;
  readonly files: GenerationFiles;
}

/** Positions that a cache has room for when nobody says. */
const USUAL_CONTEXT = 2048;
/** The share of the free memory that a plan may take when nobody says. */
const SHARE_OF_FREE = 0.8;

/** Throws `plan.does-not-fit`, and what is wrong with the files. */
export async function planGeneration(
  request: GenerationRequest,
  machine: GenerationMachine,
): Promise<PlannedGeneration> {
  const { hardware, lemaVersion, compile } = machine;
  const { cacheDirectory } = request;
  const found = await findFiles(request);
  const { checkpoint, run, adapterDirectory } = found;
  const rawConfig = checkpoint.config as JsonObject;
  const { config, diagnostics: problems } = readLlamaConfig(
    rawConfig,
    join(checkpoint.directory, "config.json"),
  );
  if (!config) throw new DiagnosticError(problems);
  const capacity = request.context ?? usualContext(config);
  const all = [...problems, ...checkLlamaTensors(checkpoint, config), ...checkContext(config, capacity)];
  if (exitCodeOf(all) !== 0) throw new DiagnosticError(all);
  const adapter = adapterDirectory === null ? null : await readPeftAdapter(adapterDirectory, config);
  const digests = await digestCheckpoint(checkpoint, {
    cacheDir: cacheDirectory,
    onProgress: ({ bytes: done, total }) =>
      request.onProgress?.(`digesting weights ${Math.floor((100 * done) / Math.max(1, total))} %`),
  });
  const numerics = numericsFor("f32", capacity, config.vocabSize);
  const lora = adapter ?? unadapted(config);
  request.onProgress?.("planning");
  const { plan, diagnostics } = compile({
    recipe: recipeOf(request, found, capacity, machine),
    hardware,
    model: describeLlamaGeneration({
      config,
      rawConfig,
      capacity,
      numerics,
      lora: lora.layers,
      files: checkpoint.files.map((file) => ({ ...file, digest: digests.files.get(file.id) ?? null })),
      tensors: checkpoint.tensors,
      digests: digests.tensors,
    }),
    numerics,
    adapter: { ...lora.config, base_model: checkpoint.directory, from: adapter?.digest ?? null },
    lema_version: lemaVersion,
    op_table: opTableHash(),
    executable: true,
  });
  if (!plan) throw new DiagnosticError(diagnostics.map(inWordsOfOptions));
  return {
    plan,
    values: adapter?.tensors ?? null,
    files: {
      modelDirectory: checkpoint.directory,
      adapterDirectory,
      run,
      diagnostics: [
        ...checkpoint.diagnostics,
        ...digests.diagnostics,
        ...all,
        ...(adapter?.diagnostics ?? []),
      ],
    },
  };
}

/** Opens the engine on a plan. Throws `plan.free-memory` and what `GenerationSession.open` throws. */
export async function openPlanned(
  { plan, values, files }: PlannedGeneration,
  { engine }: GenerationMachine,
): Promise<OpenGeneration> {
  checkExecutable(plan, engine.backend);
  const paths = new Map(Object.entries(plan.meta.paths));
  const session = await GenerationSession.open(plan, { paths, adapter: values }, engine);
  return { session, files };
}

/** Plans and opens. */
export async function openGeneration(
  request: GenerationRequest,
  machine: GenerationMachine,
): Promise<OpenGeneration> {
  return openPlanned(await planGeneration(request, machine), machine);
}

type Found = Pick<GenerationFiles, "adapterDirectory" | "run"> & {
  readonly checkpoint: Awaited<ReturnType<typeof openCheckpoint>>;
};

async function findFiles(request: GenerationRequest): Promise<Found> {
  const { model, cwd, base, cacheDirectory, onProgress } = request;
  const path = resolve(cwd, model);
  const isAdapter = [ADAPTER_CONFIG_FILE, PLAN_FILE, FINAL].some((name) => existsSync(join(path, name)));
  if (!isAdapter) return { checkpoint: await openCheckpoint(path), adapterDirectory: null, run: null };
  const found = await findAdapter(model, cwd);
  const checkpoint = await openBase(found, {
    base,
    cwd,
    cacheDirectory,
    onProgress: () => onProgress?.("digesting the base"),
  });
  const adapterDirectory = request.adapter === "applied" ? found.directory : null;
  return { checkpoint, adapterDirectory, run: found.run };
}

function unadapted({ layers }: LlamaConfig) {
  return uniformLora(layers, { rank: 1, alpha: 1, rslora: false, targets: [] });
}

function recipeOf(
  { memory }: GenerationRequest,
  { checkpoint, adapterDirectory }: Found,
  capacity: number,
  { hardware, freeVram }: GenerationMachine,
): GenerationRecipe {
  const usual = (free: number): number => Math.floor(SHARE_OF_FREE * free);
  const freeRam = availableBytes();
  const vram = memory.vram ?? (freeVram === undefined ? null : usual(freeVram));
  return {
    model: checkpoint.directory,
    adapter: { from: adapterDirectory },
    sequence: { length: capacity },
    memory: {
      ram: bytes(memory.ram ?? (freeRam === null ? hardware.memory.ram : usual(freeRam))),
      vram: vram === null ? null : bytes(vram),
      reserve: { ram: null, vram: null },
    },
    hardware: hardware.name,
  };
}

function usualContext({ maxPositions, slidingWindow }: LlamaConfig): number {
  return Math.min(USUAL_CONTEXT, maxPositions, slidingWindow ?? maxPositions);
}

function checkContext({ maxPositions, slidingWindow }: LlamaConfig, capacity: number): Diagnostic[] {
  if (slidingWindow !== null && capacity > slidingWindow) {
    return [
      diagnostic("model.sequence-too-long", {
        summary: `the model attends to ${slidingWindow} tokens (sliding_window), and the context has ${capacity}`,
        hint: `ask for a context of at most ${slidingWindow}`,
      }),
    ];
  }
  if (capacity <= maxPositions) return [];
  return [
    diagnostic("model.sequence-too-long", {
      severity: "warning",
      summary: `the model was made for ${maxPositions} positions, and the context has ${capacity}`,
      hint: `ask for a context of at most ${maxPositions}`,
    }),
  ];
}

/** The planner speaks of recipes, and here is none. */
function inWordsOfOptions({ where: _, ...problem }: Diagnostic): Diagnostic {
  const hint = problem.hint
    ?.replace(/memory\.(ram|vram) to (\d+)/, "--memory $1=$2")
    .replace("sequence.length", "--context");
  return hint === undefined ? problem : { ...problem, hint };
}
