/** `lema show`: a plan file for people: summary, layers, instructions, and why an instruction waits. */
import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { openPlan } from "../../runtime/open-plan.ts";
import type { ExitCode } from "../../schemas/diagnostic.ts";
import { type LaneName, laneName, type ProgramName, programName } from "../../schemas/plan.ts";
import type { CommandContext } from "../context.ts";
import { usesColor } from "../io.ts";
import { painter } from "../render/human.ts";
import { planFacts, weightTraffic } from "../render/plan-facts.ts";
import { renderInstructions } from "../render/plan-instructions.ts";
import { renderLayers } from "../render/plan-layers.ts";
import { renderSummary } from "../render/plan-summary.ts";
import { renderWhy } from "../render/plan-why.ts";

interface ShowOptions {
  readonly instructions?: boolean;
  readonly program: ProgramName;
  readonly lane?: LaneName;
  readonly why?: string;
  readonly json?: boolean;
}

export function register(program: Command, context: CommandContext): void {
  program
    .command("show")
    .description("show a plan: summary and layers, its instructions, or why one of them waits")
    .argument("<plan>", "plan file")
    .option("--instructions", "list the instructions of a step, in serial order")
    .addOption(
      new Option("--program <program>", "whose instructions")
        .choices(programName.options)
        .default("train-step"),
    )
    .addOption(new Option("--lane <lane>", "only the instructions of this lane").choices(laneName.options))
    .option("--why <instruction>", "explain one instruction: its work, its bytes, and what it waits for")
    .addOption(new Option("--json", "print the figures as JSON").conflicts(["instructions", "why"]))
    .action(context.action((file: string, options: ShowOptions) => show(file, options, context)));
}

async function show(file: string, options: ShowOptions, { io }: CommandContext): Promise<ExitCode> {
  const plan = await openPlan(resolve(io.cwd, file));
  const paint = painter(usesColor(io.stdout, io.env));
  if (options.json) {
    io.stdout.write(`${JSON.stringify({ ...planFacts(plan), weights: weightTraffic(plan) }, null, 2)}\n`);
  } else if (options.why !== undefined) {
    io.stdout.write(renderWhy(plan, options.why, paint));
  } else if (options.instructions || options.lane !== undefined) {
    const { program, lane = null } = options;
    io.stdout.write(renderInstructions(plan, { program, lane }, paint));
  } else {
    const summary = renderSummary(plan, { paint, placeOf: null, statistics: null });
    io.stdout.write(`${summary}\n${renderLayers(plan, paint)}`);
  }
  return 0;
}
