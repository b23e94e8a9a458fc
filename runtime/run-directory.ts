/**
 * The directory of a run: who may write into it, and its run.json.
 *
 * Invariant: a directory that holds a run is never written by another one; all refusals come before the first write.
 */
import { access, constants, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { makeDirectory } from "../models/make-directory.ts";
import { type DiagnosticCode, DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import { type Plan, planSchema } from "../schemas/plan.ts";
import { type RunRecord, type RunTrace, runSchema, runTraceSchema } from "../schemas/run.ts";
import { jsonText, replaceFile } from "./files.ts";
import { METRICS_FILE } from "./metrics.ts";

export const PLAN_FILE = "plan.json";
export const RUN_FILE = "run.json";
export const TRACE_FILE = "trace.json";

/** plan.json alone is no run: `lema plan -o` may have put it there. */
const RUN_ENTRY = new RegExp(`^(?:${RUN_FILE}|${METRICS_FILE}|final|checkpoint-\\d+)$`);

/** Makes sure that a new run may begin here. Throws `run.output-exists` and `run.output-unwritable`. */
export async function claimDirectory(directory: string): Promise<void> {
  const entries = await makeWritable(directory);
  const found = entries.find((name) => RUN_ENTRY.test(name));
  if (found !== undefined) {
    refuse(
      "run.output-exists",
      directory,
      `${directory} holds a run already (${found})`,
      `go on with it: \`lema exec ${directory} --resume\`; or choose another \`output\`, or move it away`,
    );
  }
}

/** Makes sure that a run can go on here, and reads its plan. Throws `run.not-found` and `run.output-unwritable`. */
export async function reopenDirectory(directory: string): Promise<Plan> {
  const text = await readFile(join(directory, PLAN_FILE), "utf8").catch(() => undefined);
  const plan = planSchema.safeParse(parseOrUndefined(text));
  if (!plan.success) {
    refuse(
      "run.not-found",
      directory,
      `${directory} holds no run: its ${PLAN_FILE} is missing or no plan`,
      "leave out `--resume` to begin one",
    );
  }
  await makeWritable(directory);
  return plan.data;
}

/** Replaces run.json. */
export async function writeRecord(directory: string, record: RunRecord): Promise<void> {
  await replaceFile(join(directory, RUN_FILE), jsonText(runSchema.parse(record)));
}

/** The record of a run, or null where it has none that can be read. */
export async function readRecord(directory: string): Promise<RunRecord | null> {
  const text = await readFile(join(directory, RUN_FILE), "utf8").catch(() => undefined);
  return runSchema.safeParse(parseOrUndefined(text)).data ?? null;
}

/** The instruction times of a run's last step. Throws `run.no-trace`. */
export async function readTrace(directory: string): Promise<RunTrace> {
  const text = await readFile(join(directory, TRACE_FILE), "utf8").catch(() => undefined);
  const trace = runTraceSchema.safeParse(parseOrUndefined(text));
  if (trace.success) return trace.data;
  return refuse(
    "run.no-trace",
    directory,
    `${directory} has no ${TRACE_FILE} that can be read`,
    "run it with `lema exec PLAN --trace`; a plan's prediction needs no run: `lema trace PLAN`",
  );
}

async function makeWritable(directory: string): Promise<string[]> {
  try {
    await makeDirectory(directory);
    await access(directory, constants.W_OK | constants.X_OK);
    return await readdir(directory);
  } catch (error) {
    return refuse(
      "run.output-unwritable",
      directory,
      `${directory} cannot be written: ${(error as Error).message}`,
      "choose another `output`, for example `lema plan --set output=DIR`",
    );
  }
}

/** An error of the file system while a run writes, such as a full disk, as `run.output-unwritable`; others as they are. */
export function asUnwritable(error: unknown, directory: string | null): unknown {
  if (directory === null || !(error instanceof Error && "syscall" in error)) return error;
  return new DiagnosticError(
    diagnostic("run.output-unwritable", {
      summary: `${directory} cannot be written: ${error.message}`,
      where: { file: directory },
      hint: "make room there, then go on from its last checkpoint with `--resume`",
    }),
  );
}

function refuse(code: DiagnosticCode, file: string, summary: string, hint: string): never {
  throw new DiagnosticError(diagnostic(code, { summary, where: { file }, hint }));
}

function parseOrUndefined(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
