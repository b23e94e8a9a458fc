/**
 * The adapter that a command names, and the base model it belongs to: the directory of a run, one of its checkpoints,
 * or any PEFT adapter.
 *
 * For an adapter of a run the plan says which weights it was trained on; another base is refused, because it would give
 * a model that looks right and is not.
 */
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { type Checkpoint, openCheckpoint } from "../models/checkpoint.ts";
import { digestCheckpoint } from "../models/digest.ts";
import { ADAPTER_CONFIG_FILE } from "../models/peft-settings.ts";
import { readJsonObject } from "../models/read-json.ts";
import { FINAL } from "../runtime/checkpoint.ts";
import { readMetrics } from "../runtime/metrics.ts";
import { openPlan } from "../runtime/open-plan.ts";
import { PLAN_FILE, readRecord } from "../runtime/run-directory.ts";
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import type { Plan } from "../schemas/plan.ts";
import type { Metric, RunRecord } from "../schemas/run.ts";

export interface AdapterRun {
  readonly directory: string;
  readonly plan: Plan;
  readonly record: RunRecord | null;
  readonly metrics: readonly Metric[];
}

export interface FoundAdapter {
  readonly directory: string;
  /** Null for an adapter that lema did not train. */
  readonly run: AdapterRun | null;
}

/** Throws `adapter.not-found`. */
export async function findAdapter(argument: string, cwd: string): Promise<FoundAdapter> {
  const path = resolve(cwd, argument);
  if (existsSync(join(path, ADAPTER_CONFIG_FILE)))
    return { directory: path, run: await readRun(dirname(path)) };
  const directory = join(path, FINAL);
  if (existsSync(join(directory, ADAPTER_CONFIG_FILE))) return { directory, run: await readRun(path) };
  const unfinished = existsSync(join(path, PLAN_FILE));
  throw new DiagnosticError(
    diagnostic("adapter.not-found", {
      summary: unfinished
        ? `the run ${argument} has no ${FINAL}/ adapter: it is not finished`
        : `${argument} is neither a run nor a PEFT adapter`,
      where: { file: argument },
      hint: unfinished
        ? `finish it with \`lema exec ${argument} --resume\`, or name one of its checkpoints`
        : `give the directory of a run, or one with ${ADAPTER_CONFIG_FILE}`,
    }),
  );
}

async function readRun(directory: string): Promise<AdapterRun | null> {
  const file = join(directory, PLAN_FILE);
  if (!existsSync(file)) return null;
  const plan = await openPlan(file);
  return { directory, plan, record: await readRecord(directory), metrics: await readMetrics(directory) };
}

export interface BaseOptions {
  /** A model directory that the user names; null: what run or adapter says. */
  readonly base: string | null;
  readonly cwd: string;
  /** Where digests are kept; null: nowhere. */
  readonly cacheDirectory: string | null;
  readonly onProgress?: (progress: { readonly bytes: number; readonly total: number }) => void;
}

/** Opens the base of an adapter. Throws `adapter.no-base`, `adapter.other-base` and what `openCheckpoint` throws. */
export async function openBase(found: FoundAdapter, options: BaseOptions): Promise<Checkpoint> {
  const checkpoint = await openCheckpoint(await baseDirectory(found, options));
  if (found.run !== null) await checkBase(found.run.plan, checkpoint, options);
  return checkpoint;
}

async function baseDirectory({ directory, run }: FoundAdapter, { base, cwd }: BaseOptions): Promise<string> {
  if (base !== null) return resolve(cwd, base);
  const codes = { missing: "adapter.not-found", syntax: "model.syntax" } as const;
  const { base_model_name_or_path: named } = await readJsonObject(
    join(directory, ADAPTER_CONFIG_FILE),
    codes,
  );
  const planned = Object.values(run?.plan.meta.paths ?? {}).map((path) => dirname(path));
  const written = typeof named === "string" ? [resolve(cwd, named), resolve(directory, named)] : [];
  const place = [...planned, ...written].find((path) => existsSync(join(path, "config.json")));
  if (place !== undefined) return place;
  throw new DiagnosticError(
    diagnostic("adapter.no-base", {
      summary: `the base model of ${directory} is not here${typeof named === "string" ? `: ${named}` : ""}`,
      where: { file: directory },
      hint: "name its directory with `--base DIR`; `lema pull` fetches one from the Hub",
    }),
  );
}

/** Tensor by tensor, so that the same weights in other files are the same base. */
async function checkBase(plan: Plan, checkpoint: Checkpoint, options: BaseOptions): Promise<void> {
  const { onProgress, cacheDirectory: cacheDir } = options;
  const { tensors } = await digestCheckpoint(checkpoint, { cacheDir, ...(onProgress && { onProgress }) });
  const other = plan.tensors.find(({ name, digest }) => digest !== null && tensors.get(name) !== digest);
  if (other === undefined) return;
  throw new DiagnosticError(
    diagnostic("adapter.other-base", {
      summary: `${checkpoint.directory} is not the model that the adapter was trained on: ${other.name} differs`,
      detail: `expected ${other.digest}\nactual   ${tensors.get(other.name) ?? "no such tensor"}`,
      where: { file: checkpoint.directory },
      hint: "name the right one with `--base DIR`",
    }),
  );
}
