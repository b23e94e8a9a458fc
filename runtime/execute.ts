/**
 * Executes a plan: checks it against this machine, opens engine and run directory, and lets the training loop run.
 *
 * All refusals come before anything is written.
 */
import { basename } from "node:path";
import { DiagnosticError } from "../schemas/diagnostic.ts";
import type { Plan } from "../schemas/plan.ts";
import type { RunRecord } from "../schemas/run.ts";
import { type Backend, machineOf } from "./addon.ts";
import type { BatchSource } from "./batches.ts";
import type { SavedCheckpoint } from "./checkpoint.ts";
import { writeInitialState } from "./initial-state.ts";
import { PeakMemory } from "./memory.ts";
import { checkExecutable, processBytes } from "./preflight.ts";
import { restoreTensors } from "./resume.ts";
import { asUnwritable, claimDirectory } from "./run-directory.ts";
import { lockRun } from "./run-lock.ts";
import { RunOutput } from "./run-output.ts";
import { type DeviceMemory, PlanSession } from "./session.ts";
import { Training, type TrainingEnd, type TrainingHooks } from "./training.ts";
import { TrainingState } from "./training-state.ts";

export type { StepReport } from "./training.ts";

export interface ExecuteOptions {
  /** File id of the plan → path. */
  readonly files: ReadonlyMap<string, string>;
  readonly batches: BatchSource;
  /** Values to start from, by PEFT's names; null: as PEFT initialises. */
  readonly adapter: ReadonlyMap<string, Float32Array> | null;
  /** The run directory; null: nothing is written. */
  readonly output: string | null;
  /** Go on from here; `output` is then the directory of that run, and the plan was compared with the run's. */
  readonly resume: SavedCheckpoint | null;
  /** Stop cleanly once this many steps are done in all; null: at the plan's end. */
  readonly stopAfter: number | null;
  readonly engine: EngineChoice;
  readonly lemaVersion: string;
  /** Stops after the step under way, with a checkpoint. */
  readonly stop: AbortSignal | null;
  /** Stops at once, without one. */
  readonly cancel: AbortSignal | null;
  /** Writes the instruction times of the last step to trace.json. */
  readonly trace: boolean;
}

/** How the plan is computed; bits depend on the backend only. */
export interface EngineChoice {
  readonly backend: Backend;
  /** Compute threads; null: the plan's. */
  readonly threads: number | null;
  /** One lane after another, in the plan's serial order. */
  readonly serialLanes: boolean;
  /** Bytes a second that the disk lane may read; null: no limit. */
  readonly diskThrottle: number | null;
}

export interface ExecuteHooks extends TrainingHooks {
  /** Before the first step; the session's tensors may be read between steps. */
  readonly onStart?: (session: PlanSession) => void;
}

export interface RunResult extends TrainingEnd {
  readonly steps: number;
  readonly skippedSteps: number;
  readonly totalSteps: number;
  /** Supervised tokens seen. */
  readonly tokens: number;
  /** Of the first and the last step. */
  readonly loss: RunRecord["loss"];
  readonly memory: RunMemory;
  readonly output: string | null;
}

/** In bytes. */
export interface RunMemory {
  /** Of ram: arenas + reserve, and the peak of the process. */
  readonly planned: number;
  readonly measured: number | null;
  /** Null where no device computed; `planned`: its arena + reserve. */
  readonly device: (DeviceMemory & { readonly planned: number }) | null;
}

const MEMORY_SAMPLE_MILLISECONDS = 50;
const CANCEL_MILLISECONDS = 20;

/**
 * Runs a plan to its end or to a wish to stop. Throws `plan.*`, `run.*`, `checkpoint.*` and `weights.*` diagnostics.
 * The inputs are taken as they are: `checkFresh` compares them with the plan's.
 */
export async function execute(
  plan: Plan,
  options: ExecuteOptions,
  hooks: ExecuteHooks = {},
): Promise<RunResult> {
  const { output, resume, engine } = options;
  checkExecutable(plan, engine.backend);
  if (output !== null && resume === null) await claimDirectory(output);
  const unlock = output === null ? null : await lockRun(output);
  const memory = new PeakMemory(MEMORY_SAMPLE_MILLISECONDS);
  try {
    const session = await openSession(plan, options);
    const release = cancelOn(options.cancel, session);
    try {
      return await train(plan, options, hooks, session, memory);
    } finally {
      release();
      session.close();
    }
  } finally {
    memory.stop();
    await unlock?.();
  }
}

/** Cancels whatever runs once the signal comes; returns what ends the listening. */
function cancelOn(signal: AbortSignal | null, session: PlanSession): () => void {
  let timer: NodeJS.Timeout | undefined;
  const cancel = (): void => {
    session.cancel();
    // Again and again: a run that is about to begin does not hear it.
    timer ??= setInterval(() => session.cancel(), CANCEL_MILLISECONDS);
  };
  if (signal?.aborted) cancel();
  signal?.addEventListener("abort", cancel);
  return () => {
    signal?.removeEventListener("abort", cancel);
    clearInterval(timer);
  };
}

function openSession(plan: Plan, { engine, files }: ExecuteOptions): Promise<PlanSession> {
  const { backend, serialLanes, diskThrottle } = engine;
  const threads = engine.threads ?? plan.shape.threads;
  const threaded = { ...plan, shape: { ...plan.shape, threads } };
  return PlanSession.open(threaded, files, { backend, serialLanes, diskThrottle });
}

async function train(
  plan: Plan,
  options: ExecuteOptions,
  hooks: ExecuteHooks,
  session: PlanSession,
  memory: PeakMemory,
): Promise<RunResult> {
  const { resume, batches, stop, stopAfter, trace } = options;
  const write = session.write.bind(session);
  if (resume === null) await writeInitialState(plan, options.adapter, write);
  else await restoreTensors(plan, resume, write);
  const state = resume?.training ?? TrainingState.start();
  const output = await beginOutput(plan, options, state);
  const saved = resume?.directory ?? null;
  hooks.onStart?.(session);
  const parts = { plan, session, state, batches, output, saved, memory, stopAfter, stop, trace, hooks };
  try {
    const end = await new Training(parts).run();
    const measured = memory.sample();
    const device = session.deviceMemory;
    await output?.end(end.status, state, { process: measured, device });
    return {
      ...end,
      steps: state.step,
      skippedSteps: state.skipped,
      totalSteps: plan.training.steps,
      tokens: state.tokens,
      loss: state.losses,
      memory: {
        planned: processBytes(plan.budgets, options.engine.backend),
        measured,
        device: device && { ...device, planned: plan.budgets.vram?.total ?? 0 },
      },
      output: options.output,
    };
  } catch (error) {
    const status = isCancelled(error) ? "stopped" : "failed";
    // Where the disk is full this fails as well, and the first error is the one to tell.
    const measured = { process: memory.sample(), device: session.deviceMemory };
    await output?.end(status, state, measured).catch(() => undefined);
    throw asUnwritable(error, options.output);
  }
}

async function beginOutput(
  plan: Plan,
  { output, resume, engine, lemaVersion }: ExecuteOptions,
  state: TrainingState,
): Promise<RunOutput | null> {
  if (output === null) return null;
  const { device, build } = machineOf(engine.backend);
  const threads = engine.threads ?? plan.shape.threads;
  const resumedFrom = resume === null ? null : basename(resume.directory);
  return RunOutput.begin(
    output,
    plan,
    { lemaVersion, backend: engine.backend, device, build, threads, resumedFrom },
    state,
  ).catch((error: unknown) => {
    throw asUnwritable(error, output);
  });
}

function isCancelled(error: unknown): boolean {
  return error instanceof DiagnosticError && error.diagnostics.some(({ code }) => code === "run.cancelled");
}
