/** `lema show`: a plan file for people: summary, layers, instructions, a moment of its memories, and why something waits. */
import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { jsonText, replaceFile } from "../../runtime/files.ts";
import { openAnyPlan } from "../../runtime/open-plan.ts";
import { DiagnosticError, diagnostic, type ExitCode } from "../../schemas/diagnostic.ts";
import {
  type AnyPlan,
  cycleOf,
  type LaneName,
  laneName,
  type ProgramName,
  programName,
} from "../../schemas/plan.ts";
import type { CommandContext } from "../context.ts";
import { locatePlan } from "../locate-plan.ts";
import { planFacts } from "../render/plan-facts.ts";
import { renderInstructions } from "../render/plan-instructions.ts";
import { layersOf, renderLayer, renderLayers } from "../render/plan-layers.ts";
import { momentOf, renderMoment } from "../render/plan-moment.ts";
import { renderSummary } from "../render/plan-summary.ts";
import { renderWhy } from "../render/plan-why.ts";
import { renderReport } from "../render/report/page.ts";
import { type Screen, screenOf } from "../render/screen.ts";

interface ShowOptions {
  readonly instructions?: boolean;
  readonly program?: ProgramName;
  readonly lane?: LaneName;
  readonly layer?: true | string;
  readonly at?: string;
  readonly why?: string;
  readonly html?: string;
  readonly json?: boolean;
}

export function register(program: Command, context: CommandContext): void {
  program
    .command("show")
    .description("show a plan: summary and layers, its instructions, or why one of them waits")
    .argument("<plan>", "plan file, or the directory of a run")
    .option("--layer [unit]", "only the table of layers; with a unit, its instructions in a step")
    .option(
      "--at <moment>",
      "what is in which byte of each memory, at 37% of a step or when fwd/L07/mb0 starts",
    )
    .option("--instructions", "list the instructions of a step, in serial order")
    .addOption(
      new Option(
        "--program <program>",
        "whose instructions (default: train-step, or decode of a generation)",
      ).choices(programName.options),
    )
    .addOption(new Option("--lane <lane>", "only the instructions of this lane").choices(laneName.options))
    .option(
      "--why <instruction>",
      "explain one instruction: its work, its bytes, and what decides when it starts",
    )
    .option(
      "--html <file>",
      "write everything as one page: timeline, memory over time, traffic, instructions",
    )
    .addOption(
      new Option("--json", "print the figures as JSON").conflicts(["instructions", "lane", "why", "html"]),
    )
    .action(context.action((file: string, options: ShowOptions) => show(file, options, context)));
}

async function show(file: string, options: ShowOptions, { io }: CommandContext): Promise<ExitCode> {
  const plan = await openAnyPlan(locatePlan(file, io).path);
  if (options.program !== undefined && !(options.program in plan.programs)) {
    const hint = `it has ${Object.keys(plan.programs).join(", ")}`;
    throw new DiagnosticError(
      diagnostic("cli.usage", { summary: `the plan has no program \`${options.program}\``, hint }),
    );
  }
  if (options.html !== undefined) {
    await replaceFile(resolve(io.cwd, options.html), renderReport(plan));
    io.stdout.write(`Wrote ${options.html}. Open it in a browser; it needs no network.\n`);
    return 0;
  }
  const screen = screenOf(io.stdout, io.env);
  io.stdout.write(options.json ? jsonText(factsOf(plan, options)) : render(plan, options, screen));
  return 0;
}

/** What `--json` prints: the figures, or those of a moment. */
function factsOf(plan: AnyPlan, { at, program = cycleOf(plan) }: ShowOptions): object {
  return at === undefined ? { ...planFacts(plan), weights: layersOf(plan) } : momentOf(plan, program, at);
}

function render(plan: AnyPlan, options: ShowOptions, screen: Screen): string {
  const { program = cycleOf(plan), lane = null, layer, at, why, instructions } = options;
  if (why !== undefined) return renderWhy(plan, why, screen);
  if (at !== undefined) return renderMoment(momentOf(plan, program, at), screen);
  if (layer === true) return renderLayers(plan, screen);
  if (layer !== undefined) return renderLayer(plan, layer, screen);
  if (instructions || lane !== null) return renderInstructions(plan, { program, lane }, screen);
  const summary = renderSummary(plan, { screen, placeOf: null, statistics: null });
  return `${summary}\n${renderLayers(plan, screen)}`;
}
