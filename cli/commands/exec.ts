/** `lema exec`: runs a plan, or goes on with a run. */
import { relative, resolve } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { machineOf } from "../../runtime/addon.ts";
import { findCheckpoint, type SavedCheckpoint } from "../../runtime/checkpoint.ts";
import { type EngineChoice, execute, type RunResult } from "../../runtime/execute.ts";
import { openPlan } from "../../runtime/open-plan.ts";
import { checkExecutable, processBytes } from "../../runtime/preflight.ts";
import { checkSameMachine, checkSameTraining } from "../../runtime/resume.ts";
import { claimDirectory, readRecord, reopenDirectory } from "../../runtime/run-directory.ts";
import { DiagnosticError, type ExitCode } from "../../schemas/diagnostic.ts";
import type { Plan } from "../../schemas/plan.ts";
import { resolvedRecipeSchema } from "../../schemas/recipe.ts";
import { formatBytes, parseBytes } from "../../schemas/units.ts";
import { openInputs } from "../../workflow/open-inputs.ts";
import { type CommandContext, duration, positive } from "../context.ts";
import { type CliIo, columnsOf } from "../io.ts";
import { locatePlan } from "../locate-plan.ts";
import { cacheDirectory } from "../paths.ts";
import { TrainingProgress } from "../render/progress.ts";
import { formatDeviceUse, overBudget } from "../render/run-memory.ts";
import { StatusLine } from "../render/status-line.ts";
import { wrapLine } from "../render/table.ts";
import { listenForStop } from "../signals.ts";
import { checkSpeed } from "../slower-machine.ts";
import { checkRecipe } from "../stale-recipe.ts";

interface GivenOptions {
  readonly resume?: true | string;
  readonly inexact?: boolean;
  readonly steps?: number;
  readonly timeLimit?: number;
  readonly threads?: number;
  readonly backend?: EngineChoice["backend"];
  readonly serialLanes?: boolean;
  readonly diskThrottle?: number;
  readonly trace?: boolean;
  readonly json?: boolean;
}

type ExecOptions = GivenOptions & { readonly backend: EngineChoice["backend"] };

export function register(program: Command, context: CommandContext): void {
  program
    .command("exec")
    .description("run a plan, or go on with a run")
    .argument("<plan>", "plan file, or the directory of a run")
    .option("--resume [checkpoint]", "go on from a checkpoint of the run (default: the latest)")
    .option("--inexact", "resume also with another build, processor or backend, where bits may differ")
    .option("--steps <count>", "stop, with a checkpoint, once this many steps are done", positive)
    .option("--time-limit <seconds>", "stop, with a checkpoint, once so long has been trained", duration)
    .option("--threads <count>", "compute threads instead of the plan's; never changes a bit", positive)
    .addOption(
      new Option(
        "--backend <backend>",
        "kernels to run on (default: what the plan's hardware computes with)",
      ).choices(["cpu", "cuda", "reference"]),
    )
    .option("--serial-lanes", "run the lanes one after another; changes time, never bits")
    .option("--disk-throttle <rate>", "read at most this much a second, such as 200MB", byteRate)
    .option("--trace", "write when each instruction of the last step ran to trace.json")
    .option("--json", "print the result as JSON")
    .action(context.action((plan: string, options: GivenOptions) => exec(plan, options, context)));
}

/** What the hardware profile of the plan computes with. */
function backendOf({ meta }: Plan): EngineChoice["backend"] {
  const { kind } = meta.hardware.compute as { readonly kind: "cpu" | "cuda" };
  return kind;
}

async function exec(argument: string, given: GivenOptions, context: CommandContext): Promise<ExitCode> {
  const { io } = context;
  const { path, directory } = locatePlan(argument, io);
  const plan = await openPlan(path);
  const options = { ...given, backend: given.backend ?? backendOf(plan) };
  // Before the inputs are opened, which may take a while.
  checkExecutable(plan, options.backend);
  const output = directory ?? resolve(io.cwd, outputOf(plan));
  const resume = options.resume === undefined ? null : await openRun(output, plan, options.resume, options);
  if (resume === null) {
    const edited = checkRecipe(plan, io.cwd);
    if (edited.length > 0) throw new DiagnosticError(edited);
    await claimDirectory(output);
  }

  const { shape, budgets } = plan;
  const facts = {
    tokensPerStep: shape.tokens_per_step,
    plannedBytes: processBytes(budgets, options.backend),
  };
  const progress = new TrainingProgress(io.stderr, facts);
  const status = new StatusLine(io.stderr);
  const inputs = await openInputs(plan, {
    cwd: io.cwd,
    cacheDirectory: cacheDirectory(io.env),
    onProgress: (text) => status.show(text),
  }).finally(() => status.clear());
  const warnings = [...inputs.diagnostics, ...checkSpeed(plan, io), ...(resume?.passedOver ?? [])];
  io.stderr.write(context.render(warnings, "stderr"));
  // Not before: while inputs are read there is nothing to save, and a signal ends the process as it ends any other.
  const signals = listenForStop(() =>
    progress.note("stopping after this step; press Ctrl-C again to stop at once"),
  );
  const timeUp = afterSeconds(options.timeLimit ?? null);
  try {
    const result = await execute(
      plan,
      {
        ...inputs,
        output,
        resume,
        stopAfter: options.steps ?? null,
        engine: {
          backend: options.backend,
          threads: options.threads ?? null,
          serialLanes: options.serialLanes ?? false,
          diskThrottle: options.diskThrottle ?? null,
        },
        lemaVersion: context.version,
        stop: AbortSignal.any([signals.stop, timeUp.signal]),
        cancel: signals.cancel,
        trace: options.trace ?? false,
      },
      {
        onStep: (report) => progress.step(report),
        onEvaluation: ({ step, eval_loss }) =>
          progress.note(`step ${step}  validation loss ${eval_loss.toFixed(4)}`),
      },
    );
    progress.clear();
    io.stderr.write(context.render(overBudget(result.memory, budgets.ram.reserve), "stderr"));
    io.stdout.write(options.json ? `${JSON.stringify(result, null, 2)}\n` : formatResult(result, io));
    if (result.status === "stopped") {
      io.stderr.write(`go on with: lema exec ${relative(io.cwd, output) || "."} --resume\n`);
    }
    return signals.stop.aborted && result.status === "stopped" ? 1 : 0;
  } finally {
    progress.clear();
    timeUp.release();
    signals.release();
  }
}

/** A signal that is given after so long, or never; `release` ends the waiting. */
function afterSeconds(seconds: number | null): {
  readonly signal: AbortSignal;
  readonly release: () => void;
} {
  const passed = new AbortController();
  const timer = seconds === null ? undefined : setTimeout(() => passed.abort(), 1000 * seconds);
  return { signal: passed.signal, release: () => clearTimeout(timer) };
}

/** Where planning was told to put the run; `meta` is no part of what a plan promises, the recipe is. */
function outputOf({ meta, inputs }: Plan): string {
  return meta.output ?? resolvedRecipeSchema.parse(inputs.recipe).output;
}

/** The checkpoint to go on from; the run must be of the same training as the plan. */
async function openRun(
  directory: string,
  plan: Plan,
  wanted: true | string,
  { backend, inexact }: ExecOptions,
): Promise<SavedCheckpoint> {
  const problems = checkSameTraining(await reopenDirectory(directory), plan, directory);
  const record = await readRecord(directory);
  if (record !== null && inexact !== true) {
    problems.push(...checkSameMachine(record, machineOf(backend)));
  }
  if (problems.length > 0) throw new DiagnosticError(problems);
  return findCheckpoint(directory, wanted === true ? "latest" : wanted);
}

function formatResult(result: RunResult, { cwd, stdout }: CliIo): string {
  const { status, steps, totalSteps, skippedSteps, loss, evalLoss, memory, checkpoint } = result;
  const count = status === "finished" ? `${steps} steps` : `${steps} of ${totalSteps} steps`;
  const skipped = skippedSteps === 0 ? "" : `, ${skippedSteps} skipped`;
  const losses = loss === null ? "" : `, loss ${loss.first.toFixed(4)} → ${loss.last.toFixed(4)}`;
  const validation = evalLoss === null ? "" : `, validation ${evalLoss.toFixed(4)}`;
  const measured = memory.measured === null ? "not measured" : `measured ${formatBytes(memory.measured)}`;
  const lines = [
    `${status}: ${count}${skipped}${losses}${validation}`,
    `memory: planned ${formatBytes(memory.planned)}, ${measured}`,
    ...(memory.device === null ? [] : [`device: ${formatDeviceUse(memory.device)}`]),
    ...(checkpoint === null
      ? []
      : [`${status === "finished" ? "adapter" : "checkpoint"}: ${relative(cwd, checkpoint)}`]),
  ];
  return `${lines.flatMap((line) => wrapLine(line, columnsOf(stdout))).join("\n")}\n`;
}

/** `200MB`, or `200MB/s`. */
function byteRate(text: string): number {
  const rate = parseBytes(text.replace(/\/s$/, ""));
  if (rate === undefined || rate === 0) throw new InvalidArgumentError("Write it as 200MB or 1GiB/s.");
  return rate;
}
