/** `lema plan`: compiles a recipe into plan.json and says what the plan will do; moves nothing. */
import { writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { type Command, Option } from "commander";
import { makeDirectory } from "../../models/make-directory.ts";
import { type Compiled, compile } from "../../planner/compile.ts";
import { smallestMemory } from "../../planner/smallest-memory.ts";
import { jsonText, replaceFile } from "../../runtime/files.ts";
import { claimDirectory, PLAN_FILE } from "../../runtime/run-directory.ts";
import { type Diagnostic, DiagnosticError, diagnostic, type ExitCode } from "../../schemas/diagnostic.ts";
import type { Plan } from "../../schemas/plan.ts";
import { type GatheredInputs, readInputs } from "../../workflow/read-inputs.ts";
import { type BudgetText, splitBudgets } from "../budgets.ts";
import { type CommandContext, collect } from "../context.ts";
import { type LadderSize, ladder, ladderSizes } from "../ladder.ts";
import { type LoadedRecipe, loadRecipe } from "../load-recipe.ts";
import { cacheDirectory } from "../paths.ts";
import { renderLadder } from "../render/ladder.ts";
import { planFacts, unfittingFacts } from "../render/plan-facts.ts";
import { renderSummary } from "../render/plan-summary.ts";
import { screenOf } from "../render/screen.ts";
import { StatusLine } from "../render/status-line.ts";
import { formatTable } from "../render/table.ts";

interface PlanOptions {
  readonly out?: string;
  readonly dryRun?: boolean;
  readonly set?: readonly string[];
  readonly whatIf?: readonly BudgetText[];
  readonly ladder?: readonly LadderSize[];
  readonly json?: boolean;
  readonly detailedExitcode?: boolean;
  readonly dumpAfter?: string;
  readonly dumpDir?: string;
  readonly timings?: boolean;
}

export function register(program: Command, context: CommandContext): void {
  program
    .command("plan")
    .description("compile a recipe into a plan, and say what it will do")
    .argument("<recipe>", "recipe file")
    .option(
      "-o, --out <file>",
      "where to write the plan (default: plan.json in the recipe's output directory)",
    )
    .option("--dry-run", "open no weights, dataset or tokenizer; writes nothing without --out")
    .option("--set <key=value>", "change a key of the recipe first (repeatable)", collect)
    .option(
      "--what-if <budgets>",
      "plan for other budgets, such as vram=6GiB,ram=8GiB; writes nothing without --out",
      splitBudgets,
    )
    .addOption(
      new Option(
        "--ladder [budgets]",
        "compare budgets of the memory that computes, such as min,2GiB,6.36GB (default: min and 1.6 to 16 GiB); writes nothing",
      )
        .argParser(ladderSizes)
        .preset(true)
        .conflicts(["out", "detailedExitcode", "dumpAfter", "dumpDir", "timings"]),
    )
    .option("--json", "print the figures as JSON")
    .option("--detailed-exitcode", "exit with 2 when the plan is not the one that is already there")
    .option("--dump-after <pass>", "print what a pass made, or `all`, as JSON on stderr")
    .option("--dump-dir <directory>", "write the dumps there instead, one file a pass")
    .option("--timings", "print how long each pass took on stderr")
    .action(context.action((file: string, options: PlanOptions) => plan(file, options, context)));
}

async function plan(file: string, options: PlanOptions, context: CommandContext): Promise<ExitCode> {
  const { io } = context;
  const whatIf = options.whatIf ?? [];
  const set = options.set ?? [];
  const loaded = loadRecipe(file, set, io, whatIf);
  const gathered = await gather(loaded, options, context);
  io.stderr.write(context.render([...loaded.diagnostics, ...gathered.diagnostics], "stderr"));
  if (options.ladder !== undefined) return compare(options.ladder, gathered, loaded, options, context);
  const { dumpAfter } = options;
  const compiled = compile(gathered.inputs, { dumpAfter, clock: () => performance.now() });
  await reportPasses(compiled, options, context);
  if (compiled.plan === undefined) return refuse(compiled, gathered, loaded, options, context);

  const budgets = whatIf.map(({ tier, value }) => `memory.${tier}=${value}`);
  const origin = { file: resolve(io.cwd, file), overrides: [...set, ...budgets] };
  const made = { ...compiled.plan, meta: { ...compiled.plan.meta, recipe: origin } };
  const written = await write(made, loaded, options, context);
  io.stdout.write(
    options.json
      ? `${JSON.stringify(planFacts(made), null, 2)}\n`
      : `${renderSummary(made, {
          screen: screenOf(io.stdout, io.env),
          placeOf: (path) => placeText(loaded, path),
          statistics: gathered.dataset?.statistics ?? null,
        })}\n${written.text}\n`,
  );
  return options.detailedExitcode && written.differs ? 2 : 0;
}

/** One row a budget; it is an error only when none of them fits. */
function compare(
  sizes: readonly LadderSize[],
  { inputs }: GatheredInputs,
  loaded: LoadedRecipe,
  { json }: PlanOptions,
  { io }: CommandContext,
): ExitCode {
  const status = new StatusLine(io.stderr);
  const compared = ladder(inputs, sizes, {
    onRow: (row, rows) => status.show(`planning budget ${row + 1} of ${rows}`),
    placed: (problem) => inRecipe(problem, loaded),
  });
  status.clear();
  io.stdout.write(
    `${json ? JSON.stringify(compared, null, 2) : renderLadder(compared, screenOf(io.stdout, io.env))}\n`,
  );
  return compared.rows.some(({ fits }) => fits) ? 0 : 3;
}

async function gather(
  loaded: LoadedRecipe,
  options: PlanOptions,
  { io, version }: CommandContext,
): Promise<GatheredInputs> {
  const { recipe, hardware } = loaded;
  const status = new StatusLine(io.stderr);
  try {
    const gathered = await readInputs({
      recipe,
      hardware,
      lemaVersion: version,
      cwd: io.cwd,
      cacheDirectory: cacheDirectory(io.env),
      dryRun: options.dryRun ?? false,
      onProgress: (text) => status.show(text),
    });
    return { ...gathered, diagnostics: gathered.diagnostics.map((problem) => inRecipe(problem, loaded)) };
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    throw new DiagnosticError(error.diagnostics.map((problem) => inRecipe(problem, loaded)));
  } finally {
    status.clear();
  }
}

interface Written {
  /** What became of the plan file, and what to do next. */
  readonly text: string;
  /** The plan is not the one that the file held before. */
  readonly differs: boolean;
}

async function write(
  made: Plan,
  { recipe }: LoadedRecipe,
  { out, dryRun = false, whatIf }: PlanOptions,
  { io }: CommandContext,
): Promise<Written> {
  const path = resolve(io.cwd, out ?? join(recipe.output, PLAN_FILE));
  const name = out ?? relative(io.cwd, path);
  const differs = (await planIdAt(path)) !== made.plan_id;
  if (out === undefined && (dryRun || whatIf !== undefined)) {
    return { text: `Nothing was written (${dryRun ? "--dry-run" : "--what-if"}).`, differs };
  }
  if (out === undefined && differs) await claimDirectory(dirname(path));
  if (out !== undefined) await makeDirectory(dirname(path));
  if (differs || out !== undefined) await replaceFile(path, jsonText(made));
  const next = made.executable ? `Run it with: lema exec ${name}` : `Look at it with: lema show ${name}`;
  return { text: `${differs ? "Wrote" : "Unchanged:"} ${name}. ${next}`, differs };
}

/** The id in a plan file, if there is one. */
async function planIdAt(path: string): Promise<unknown> {
  try {
    return (JSON.parse(await readFile(path, "utf8")) as Partial<Plan> | null)?.plan_id;
  } catch {
    return undefined;
  }
}

/** No plan: the reasons on stderr, and with --json what is known of the memory it would need. */
function refuse(
  { diagnostics }: Compiled,
  { inputs }: GatheredInputs,
  loaded: LoadedRecipe,
  { json }: PlanOptions,
  { io }: CommandContext,
): never {
  const placed = diagnostics.map((problem) => inRecipe(problem, loaded));
  if (json) {
    io.stdout.write(`${JSON.stringify(unfittingFacts(smallestMemory(inputs), placed), null, 2)}\n`);
  }
  throw new DiagnosticError(placed);
}

/** Models, data and the planner know keys of the recipe, not where they stand. */
function inRecipe(problem: Diagnostic, { placeOf }: LoadedRecipe): Diagnostic {
  const path = problem.where?.path;
  if (problem.where?.file !== "recipe" || path === undefined) return problem;
  return { ...problem, where: placeOf(path) };
}

function placeText({ placeOf }: LoadedRecipe, path: string): string | undefined {
  const { file, line } = placeOf(path);
  return line === undefined ? undefined : `${file}:${line}`;
}

async function reportPasses(
  { passes, plan: made }: Compiled,
  { dumpAfter, dumpDir, timings }: PlanOptions,
  { io }: CommandContext,
): Promise<void> {
  const dumps = passes.flatMap(({ name, dump }, index) => (dump === null ? [] : [{ name, dump, index }]));
  if (dumpAfter !== undefined && dumps.length === 0 && made !== undefined) {
    throw new DiagnosticError(
      diagnostic("cli.usage", {
        summary: `there is no pass \`${dumpAfter}\``,
        hint: `passes are ${passes.map(({ name }) => name).join(", ")}; or \`all\``,
      }),
    );
  }
  if (dumpDir !== undefined) {
    const directory = resolve(io.cwd, dumpDir);
    await makeDirectory(directory);
    for (const { name, dump, index } of dumps) {
      writeFileSync(join(directory, `${String(index).padStart(2, "0")}-${name}.json`), `${dump}\n`);
    }
  } else {
    for (const { name, dump } of dumps) io.stderr.write(`--- after ${name}\n${dump}\n`);
  }
  if (timings) {
    const total = passes.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
    const rows = [...passes, { name: "all", milliseconds: total }].map(({ name, milliseconds }) => [
      name,
      `${milliseconds.toFixed(1)} ms`,
    ]);
    io.stderr.write(`${formatTable(rows, "lr").join("\n")}\n`);
  }
}
