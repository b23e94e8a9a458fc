/** `lema trace`: the timeline of a run's last step beside its prediction, or of a plan, for the Perfetto viewer. */
import { relative, resolve } from "node:path";
import { type Command, Option } from "commander";
import { replaceFile } from "../../runtime/files.ts";
import { openAnyPlan } from "../../runtime/open-plan.ts";
import { readTrace } from "../../runtime/run-directory.ts";
import { DiagnosticError, diagnostic, type ExitCode } from "../../schemas/diagnostic.ts";
import { type AnyPlan, cycleOf, type ProgramName, programName, programsOf } from "../../schemas/plan.ts";
import type { CommandContext } from "../context.ts";
import { locatePlan } from "../locate-plan.ts";
import { memoryMap } from "../render/memory-map.ts";
import { perfettoTrace, type TracedTimeline, waitsOf } from "../trace/perfetto.ts";

interface TraceOptions {
  readonly perfetto: string;
  readonly program?: ProgramName;
}

export function register(program: Command, context: CommandContext): void {
  program
    .command("trace")
    .description("write a timeline for https://ui.perfetto.dev: of a traced run, or of a plan's prediction")
    .argument("<run>", "directory of a run made with `exec --trace`, or a plan file")
    .requiredOption("--perfetto <file>", "where to write it, in the Trace Event Format (JSON)")
    .addOption(
      new Option("--program <program>", "which program of a plan (default: what it repeats)").choices(
        programName.options,
      ),
    )
    .action(context.action((name: string, options: TraceOptions) => trace(name, options, context)));
}

async function trace(name: string, options: TraceOptions, { io }: CommandContext): Promise<ExitCode> {
  const { path, directory } = locatePlan(name, io);
  const plan = await openAnyPlan(path);
  const timelines =
    directory === null
      ? [predicted(plan, options.program ?? cycleOf(plan))]
      : [await measured(plan, directory), predicted(plan, cycleOf(plan))];
  const { plan_id, lema_version } = plan;
  const file = resolve(io.cwd, options.perfetto);
  await replaceFile(file, `${JSON.stringify(perfettoTrace(timelines, { plan_id, lema_version }))}\n`);
  const what = timelines.map(({ name: title, spans }) => `${title}: ${spans.length} instructions`).join("; ");
  io.stdout.write(`Wrote ${relative(io.cwd, file)} (${what}). Open it in https://ui.perfetto.dev\n`);
  return 0;
}

async function measured(plan: AnyPlan, directory: string): Promise<TracedTimeline> {
  const { program, instructions } = await readTrace(directory);
  return {
    name: `measured, last ${program}`,
    spans: instructions.map(({ waited, ...span }) => ({ ...span, args: { waited_us: waited / 1000 } })),
    waits: waitsOf(programsOf(plan)[program]!.steady),
    memory: null,
  };
}

/** Throws `cli.usage` where the plan has no such program. */
function predicted(plan: AnyPlan, program: ProgramName): TracedTimeline {
  const programs = programsOf(plan);
  if (programs[program] === undefined) {
    const hint = `it has ${Object.keys(programs).join(", ")}`;
    throw new DiagnosticError(
      diagnostic("cli.usage", { summary: `the plan has no program ${program}`, hint }),
    );
  }
  const memory = memoryMap(plan, program);
  return {
    name: `predicted ${program}`,
    spans: memory.timeline.map(({ instruction: { id, lane, bytes }, start, end, stall }) => {
      const waits = stall === null ? {} : { stood_still_us: stall.ns / 1000, for: stall.cause };
      return { id, lane, start, end, args: { ...(bytes === 0 ? {} : { bytes }), ...waits } };
    }),
    waits: waitsOf(programs[program].steady),
    memory,
  };
}
