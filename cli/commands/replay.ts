/**
 * `lema replay`: executes a recorded run again, from its plan, seeds and data order, and compares every step with the
 * record. Nothing is written: the run stays as it is.
 */
import type { Command } from "commander";
import { machineOf, nativeDevice } from "../../runtime/addon.ts";
import { type EngineChoice, execute } from "../../runtime/execute.ts";
import { jsonText } from "../../runtime/files.ts";
import { readMetrics } from "../../runtime/metrics.ts";
import { openPlan } from "../../runtime/open-plan.ts";
import { checkExecutable, processBytes } from "../../runtime/preflight.ts";
import { checkSameMachine } from "../../runtime/resume.ts";
import { readRecord } from "../../runtime/run-directory.ts";
import { type Diagnostic, DiagnosticError, diagnostic, type ExitCode } from "../../schemas/diagnostic.ts";
import type { Plan } from "../../schemas/plan.ts";
import type { Metric, RunRecord } from "../../schemas/run.ts";
import { formatBytes } from "../../schemas/units.ts";
import { openInputs } from "../../workflow/open-inputs.ts";
import { type BudgetText, splitBudgets } from "../budgets.ts";
import { type CommandContext, positive } from "../context.ts";
import { locatePlan, noRecordedRun } from "../locate-plan.ts";
import { cacheDirectory } from "../paths.ts";
import { TrainingProgress } from "../render/progress.ts";
import { exactText, RunComparison } from "../replay/compare-run.ts";
import { replan } from "../replay/replan.ts";
import { listenForStop } from "../signals.ts";

interface ReplayOptions {
  readonly check?: boolean;
  readonly memory?: readonly BudgetText[];
  readonly threads?: number;
  readonly steps?: number;
  readonly json?: boolean;
}

export function register(program: Command, context: CommandContext): void {
  program
    .command("replay")
    .description("execute a recorded run again and compare every step with the record; writes nothing")
    .argument("<run>", "directory of a run")
    .option("--check", "exit with 2 when a loss, a gradient norm or an adapter differs")
    .option("--memory <budgets>", "plan the same numerics for other budgets, such as ram=2GiB", splitBudgets)
    .option("--threads <count>", "compute threads instead of the plan's; never changes a bit", positive)
    .option("--steps <count>", "only the first steps of the run", positive)
    .option("--json", "print the result as JSON")
    .action(context.action((run: string, options: ReplayOptions) => replay(run, options, context)));
}

interface RecordedRun {
  readonly name: string;
  readonly plan: Plan;
  readonly record: RunRecord;
  readonly metrics: readonly Metric[];
}

async function replay(name: string, options: ReplayOptions, context: CommandContext): Promise<ExitCode> {
  const { io } = context;
  const run = await openRun(name, context);
  const machine = machineOf(backendOf(run.record));
  const elsewhere = checkSameMachine(run.record, machine).map(asWarning);
  // The inputs of the run's own plan: a changed one is named before anything is planned.
  const inputs = await openInputs(run.plan, { cwd: io.cwd, cacheDirectory: cacheDirectory(io.env) });
  io.stderr.write(context.render([...elsewhere, ...inputs.diagnostics], "stderr"));
  const { memory: budgets } = options;
  const plan =
    budgets === undefined
      ? run.plan
      : await replan(run.plan, { budgets, run: name, cwd: io.cwd, cacheDirectory: cacheDirectory(io.env) });
  checkExecutable(plan, machine.backend);

  const comparison = new RunComparison(run.metrics);
  const last = Math.max(...run.metrics.map(({ step }) => step));
  const steps = Math.min(last, options.steps ?? last);
  const threads = options.threads ?? plan.shape.threads;
  await executeAgain({ plan, inputs, threads, steps, backend: machine.backend }, comparison, context);
  const { first, compared } = comparison;
  const result = {
    run: name,
    plan_id: plan.plan_id,
    memory: { ram: plan.budgets.ram.total, vram: plan.budgets.vram?.total ?? null },
    threads,
    compared,
    same: first === null,
    difference: first,
  };
  io.stdout.write(options.json ? jsonText(result) : textOf(result));
  return options.check && first !== null ? 2 : 0;
}

interface Execution {
  readonly plan: Plan;
  readonly inputs: Awaited<ReturnType<typeof openInputs>>;
  readonly threads: number;
  readonly steps: number;
  readonly backend: EngineChoice["backend"];
}

/** Runs until the last wanted step, or until a value differs: what comes after that tells nothing more. */
async function executeAgain(
  { plan, inputs, threads, steps, backend }: Execution,
  comparison: RunComparison,
  { io, version }: CommandContext,
): Promise<void> {
  const progress = new TrainingProgress(io.stderr, {
    tokensPerStep: plan.shape.tokens_per_step,
    plannedBytes: processBytes(plan.budgets, backend),
  });
  const signals = listenForStop(() => progress.note("stopping after this step"));
  const stop = new AbortController();
  signals.stop.addEventListener("abort", () => stop.abort());
  const compare = (row: Metric): void => {
    comparison.add(row);
    if (comparison.first !== null) stop.abort();
  };
  try {
    await execute(
      plan,
      {
        files: inputs.files,
        batches: inputs.batches,
        adapter: inputs.adapter,
        output: null,
        resume: null,
        stopAfter: steps,
        engine: { backend, threads, serialLanes: false, diskThrottle: null },
        lemaVersion: version,
        stop: stop.signal,
        cancel: signals.cancel,
        trace: false,
      },
      {
        onStep: (report) => {
          progress.step(report);
          compare(report);
        },
        onEvaluation: compare,
      },
    );
    if (signals.stop.aborted) {
      throw new DiagnosticError(
        diagnostic("run.cancelled", { summary: "the replay was stopped before its end" }),
      );
    }
  } finally {
    progress.clear();
    signals.release();
  }
}

/** Throws `run.not-found` where there is no record to compare with. */
async function openRun(name: string, { io }: CommandContext): Promise<RecordedRun> {
  const { path, directory } = locatePlan(name, io);
  const record = directory === null ? null : await readRecord(directory);
  const metrics = directory === null ? [] : await readMetrics(directory);
  if (record === null || metrics.length === 0) throw noRecordedRun(name);
  return { name, plan: await openPlan(path), record, metrics };
}

/** A run from a device that is not here is computed on the processor; `checkSameMachine` then says so. */
function backendOf({ backend }: RunRecord): EngineChoice["backend"] {
  if (backend !== "cuda") return backend;
  try {
    nativeDevice(backend);
    return backend;
  } catch (error) {
    if (error instanceof DiagnosticError && error.diagnostics[0]?.code === "run.no-device") return "cpu";
    throw error;
  }
}

function asWarning(problem: Diagnostic): Diagnostic {
  const hint = "the replay goes on; bits are promised only for the same build, processor and backend";
  return { ...problem, severity: "warning", hint };
}

interface Result {
  readonly run: string;
  readonly memory: { readonly ram: number; readonly vram: number | null };
  readonly threads: number;
  readonly compared: RunComparison["compared"];
  readonly difference: RunComparison["first"];
}

function textOf({ run, memory, threads, compared, difference }: Result): string {
  const { ram, vram } = memory;
  const where = `${vram === null ? "" : `${formatBytes(vram)} of vram, `}${formatBytes(ram)} of ram, ${threads} ${threads === 1 ? "thread" : "threads"}`;
  if (difference !== null) {
    const { step, what, recorded, replayed } = difference;
    return `${run} differs first in step ${step}: ${what} (${where})\n  recorded  ${exactText(recorded)}\n  replayed  ${exactText(replayed)}\n`;
  }
  const { steps, adapters, evaluations } = compared;
  const digests = adapters === steps ? "" : ` (adapter digests of ${adapters})`;
  const validation =
    evaluations === 0 ? "" : ` and ${evaluations} validation ${evaluations === 1 ? "loss" : "losses"}`;
  return `${run} replays to the same bits: ${steps} steps${digests}${validation} (${where})\n`;
}
