/** `lema merge`: a run or adapter and its base as one model directory. */
import { relative } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { FloatDType } from "../../models/float-codec.ts";
import { jsonText } from "../../runtime/files.ts";
import { DiagnosticError, diagnostic, type ExitCode } from "../../schemas/diagnostic.ts";
import { formatBytes, parseBytes } from "../../schemas/units.ts";
import { mergeRun } from "../../workflow/merge-run.ts";
import { type GenerationMachine, openPlanned, planGeneration } from "../../workflow/open-generation.ts";
import { CHECKED_TOKENS, type MergeCheck, percent, verifyMerge } from "../../workflow/verify-merge.ts";
import type { CommandContext } from "../context.ts";
import { generationMachine, type MachineRequest } from "../generation-machine.ts";
import { addBackendOptions, modelRequest } from "../generation-options.ts";
import { interruptible } from "../interruptible.ts";
import { cacheDirectory } from "../paths.ts";
import { StatusLine } from "../render/status-line.ts";

interface MergeOptions extends MachineRequest {
  readonly out: string;
  readonly base?: string;
  readonly dtype?: keyof typeof DTYPES;
  readonly maxShardSize: number;
  readonly verify?: boolean;
  readonly json?: boolean;
}

const DTYPES = { f32: "f32", bf16: "bf16", fp16: "f16" } as const satisfies Record<string, FloatDType>;
/** What Transformers cuts at. */
export const SHARD_BYTES = 5e9;

export function register(program: Command, context: CommandContext): void {
  const command = program
    .command("merge")
    .description("merge an adapter into its base: a model directory that Transformers loads without PEFT")
    .argument("<run>", "directory of a run, of one of its checkpoints, or of a PEFT adapter")
    .requiredOption("-o, --out <directory>", "where to write the model")
    .option("--base <directory>", "the base model (default: where the run or the adapter says it is)")
    .addOption(
      new Option("--dtype <dtype>", "how to store the weights (default: as the base does)").choices(
        Object.keys(DTYPES),
      ),
    )
    .option(
      "--max-shard-size <size>",
      "cut the weights into files of at most this size",
      byteSize,
      SHARD_BYTES,
    )
    .option(
      "--verify",
      "compare logits of the merged model with those of base and adapter; exit with 5 where they differ",
    )
    .option("--json", "print the result as JSON");
  addBackendOptions(command).action(
    context.action((run: string, options: MergeOptions) => merge(run, options, context)),
  );
}

async function merge(run: string, options: MergeOptions, context: CommandContext): Promise<ExitCode> {
  const { io } = context;
  // Before the model is written, so that a device that is missing costs nothing.
  const machine = verifyingMachine(options, context);
  const merged = await interruptible(context, (show) =>
    mergeRun({
      source: run,
      output: options.out,
      base: options.base ?? null,
      dtype: options.dtype === undefined ? null : DTYPES[options.dtype],
      maxShardBytes: options.maxShardSize,
      cwd: io.cwd,
      cacheDirectory: cacheDirectory(io.env),
      onProgress: show,
    }),
  );
  const { diagnostics, ...facts } = merged;
  io.stderr.write(context.render(diagnostics, "stderr"));
  const check = machine === null ? null : await verifyMerged(run, options, machine, context);
  const { modules, files, bytes } = facts;
  const where = files.length === 1 ? files[0] : `${files.length} files`;
  io.stdout.write(
    options.json
      ? jsonText(check === null ? facts : { ...facts, verified: check })
      : `Wrote ${relative(io.cwd, merged.output)}: ${formatBytes(bytes)} in ${where}, ${modules} weights merged with ${relative(io.cwd, merged.base)}\n${check === null ? "" : inWords(check)}`,
  );
  return 0;
}

/** What `--verify` computes on; null without it. Throws `cli.usage` where only it would read an option. */
function verifyingMachine(
  { verify, backend, hardware }: MergeOptions,
  context: CommandContext,
): GenerationMachine | null {
  const request = { ...(backend && { backend }), ...(hardware && { hardware }) };
  if (verify === true) return generationMachine(null, request, context);
  const unread = Object.keys(request).map((name) => `--${name}`);
  if (unread.length === 0) return null;
  const summary = `${unread.join(" and ")} without --verify: merging itself needs no kernels`;
  throw new DiagnosticError(diagnostic("cli.usage", { summary, hint: "add --verify, or leave it out" }));
}

/** Loads the three models one after the other, each within the memory that is free. */
async function verifyMerged(
  run: string,
  { out, base }: MergeOptions,
  machine: GenerationMachine,
  context: CommandContext,
): Promise<Omit<MergeCheck, "diagnostics">> {
  const { io } = context;
  const status = new StatusLine(io.stderr);
  const { diagnostics, ...check } = await verifyMerge(async (side) => {
    const source =
      side === "merged"
        ? { model: out, adapter: true }
        : { model: run, adapter: side === "unmerged", ...(base && { base }) };
    const request = modelRequest(source.model, { ...source, context: CHECKED_TOKENS }, context);
    const planned = await planGeneration({ ...request, onProgress: (text) => status.show(text) }, machine);
    status.show(`running the ${side} model`);
    const { session } = await openPlanned(planned, machine);
    return { session, dtypes: planned.plan.tensors.map(({ storage }) => storage) };
  }).finally(() => status.clear());
  io.stderr.write(context.render(diagnostics, "stderr"));
  return check;
}

function inWords({
  positions,
  difference,
  tolerance,
  effect,
  agreeing,
}: Omit<MergeCheck, "diagnostics">): string {
  return (
    `Verified: logits ${percent(difference)} from those of base and adapter, of ${percent(tolerance)} that rounding may explain; ` +
    `the adapter moves them by ${percent(effect)}. Likeliest token: the same at ${agreeing} of ${positions} positions\n`
  );
}

/** The value of an option that limits a size. */
export function byteSize(text: string): number {
  const bytes = parseBytes(text);
  if (bytes === undefined || bytes === 0) throw new InvalidArgumentError("Expected a size such as 5GB.");
  return bytes;
}
