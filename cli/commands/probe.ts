/** `lema probe`: measures this machine, or its CUDA device, and writes the hardware profile that `hardware: auto` means. */
import { dirname, relative, resolve } from "node:path";
import { type Command, Option } from "commander";
import { makeDirectory } from "../../models/make-directory.ts";
import { compile } from "../../planner/compile.ts";
import { replaceFile } from "../../runtime/files.ts";
import { checkHardware } from "../../schemas/check-hardware.ts";
import { DiagnosticError, diagnostic, type ExitCode, exitCodeOf } from "../../schemas/diagnostic.ts";
import type { HardwareProfile } from "../../schemas/hardware.ts";
import type { Plan } from "../../schemas/plan.ts";
import { formatBytes } from "../../schemas/units.ts";
import { readInputs } from "../../workflow/read-inputs.ts";
import { type CommandContext, collect, positive } from "../context.ts";
import { columnsOf } from "../io.ts";
import { type LoadedRecipe, loadRecipe, probedProfilePath } from "../load-recipe.ts";
import { cacheDirectory } from "../paths.ts";
import { DEVICE_EFFORTS, measureDevice } from "../probe/measure-device.ts";
import { defaultThreads, EFFORTS, measureMachine } from "../probe/measure-machine.ts";
import { profileText } from "../probe/profile-text.ts";
import { fitRows } from "../render/fit-table.ts";
import { StatusLine } from "../render/status-line.ts";

interface ProbeOptions {
  readonly backend: "cpu" | "cuda";
  readonly out?: string;
  readonly directory: string;
  readonly threads?: number;
  readonly recipe?: string;
  readonly set: readonly string[];
  readonly quick?: boolean;
}

export function register(program: Command, context: CommandContext): void {
  program
    .command("probe")
    .description(
      "measure disk, copies and the time of every op; write the profile that `hardware: auto` means",
    )
    .addOption(new Option("--backend <backend>", "what computes").choices(["cpu", "cuda"]).default("cpu"))
    .option("-o, --out <file>", "where to write it (default: where `hardware: auto` looks)")
    .option("--directory <dir>", "measure the disk of this directory, where the weights are", ".")
    .option("--threads <count>", "threads of the processor (default: all)", positive)
    .option("--recipe <file>", "time the ops also at the shapes of this recipe, without running it")
    .option("--set <key=value>", "change a key of that recipe first (repeatable)", collect, [])
    .option("--quick", "a tenth of the time, less exact")
    .action(context.action((options: ProbeOptions) => probe(options, context)));
}

async function probe(options: ProbeOptions, context: CommandContext): Promise<ExitCode> {
  const { io } = context;
  const status = new StatusLine(io.stderr);
  const recipe = recipeOf(options, context);
  try {
    const { backend } = options;
    const how = options.quick ? "quick" : "thorough";
    const request = {
      directory: resolve(io.cwd, options.directory),
      threads: options.threads ?? defaultThreads(),
      plansFor: async (own: HardwareProfile) =>
        recipe === null ? [] : [await planFor(recipe, own, context)],
      onProgress: (text: string) => status.show(`measuring: ${text}`),
    };
    const profile =
      backend === "cpu"
        ? await measureMachine({ ...request, effort: EFFORTS[how] })
        : await measureDevice(backend, { ...request, effort: DEVICE_EFFORTS[how] });
    const path =
      options.out === undefined ? probedProfilePath(io.env, backend) : resolve(io.cwd, options.out);
    await makeDirectory(dirname(path));
    await replaceFile(
      path,
      profileText(
        profile,
        `written by lema probe ${context.version}; measure again when the machine changes`,
      ),
    );
    status.clear();
    const shown = options.out === undefined ? path : relative(io.cwd, path);
    io.stdout.write(`${summary(profile, columnsOf(io.stdout))}Wrote ${shown}\n`);
    return 0;
  } finally {
    status.clear();
  }
}

/** The recipe whose shapes are timed too. Throws `cli.usage` where keys are set of none. */
function recipeOf({ recipe, set }: ProbeOptions, { io }: CommandContext): LoadedRecipe | null {
  if (recipe !== undefined) return loadRecipe(recipe, set, io);
  if (set.length === 0) return null;
  const summary = "`--set` changes a recipe, and none is given";
  throw new DiagnosticError(diagnostic("cli.usage", { summary, hint: "add --recipe FILE, or leave it out" }));
}

/** A recipe's plan for this machine, whichever it names; neither its weights nor its dataset are opened. */
async function planFor(
  { recipe, placeOf }: LoadedRecipe,
  hardware: HardwareProfile,
  { io, version }: CommandContext,
): Promise<Plan> {
  const problems = checkHardware(recipe, hardware, placeOf);
  if (exitCodeOf(problems) !== 0) throw new DiagnosticError(problems);
  const { inputs } = await readInputs({
    recipe,
    hardware,
    cwd: io.cwd,
    dryRun: true,
    cacheDirectory: cacheDirectory(io.env),
    lemaVersion: version,
  });
  const { plan, diagnostics } = compile(inputs);
  if (plan === undefined) throw new DiagnosticError(diagnostics);
  return plan;
}

function summary({ compute, disk, links, memory }: HardwareProfile, width: number): string {
  const rate = (value: number, unit: string): string => `${(value / 1e9).toPrecision(3)} G${unit}/s`;
  const products = compute.dtypes.map((dtype) => `${dtype} ${rate(compute.matrix_rate[dtype]!, "FLOP")}`);
  const capacity = compute.kind === "cuda" ? memory.vram! : memory.ram;
  const { h2d_bandwidth: up, d2h_bandwidth: down } = links!;
  const rows = [
    ["matrix products", products.join(", ")],
    ["memory", `${rate(compute.memory_bandwidth, "B")}, ${formatBytes(capacity)}`],
    ["copies", `to vram ${rate(up, "B")}, back ${rate(down, "B")}`],
    [
      "disk",
      `${rate(disk.bandwidth, "B")}, ${Math.round(disk.latency_ns / 1000)} µs, ${disk.direct_io ? "direct" : "buffered"}`,
    ],
    ["timed calls", String(compute.calls!.length)],
    ...(compute.submission === undefined ? [] : [["submission", submissionText(compute.submission)]]),
  ];
  return `${fitRows(rows, { alignment: "l", indent: "", width }).join("\n")}\n`;
}

function submissionText({
  call_ns,
  instruction_ns,
}: NonNullable<HardwareProfile["compute"]["submission"]>): string {
  const microseconds = (ns: number): string => `${(ns / 1000).toFixed(1)} µs`;
  return `${microseconds(call_ns)} a call, ${microseconds(instruction_ns)} an instruction`;
}
