/** `lema diff`: what differs between two plans: inputs, then figures, then instructions. */
import type { Command } from "commander";
import { jsonText } from "../../runtime/files.ts";
import { openAnyPlan } from "../../runtime/open-plan.ts";
import type { ExitCode } from "../../schemas/diagnostic.ts";
import type { CommandContext } from "../context.ts";
import { diffPlans } from "../diff/plan-diff.ts";
import { renderDiff } from "../diff/render-diff.ts";
import { locatePlan } from "../locate-plan.ts";
import { screenOf } from "../render/screen.ts";

interface DiffOptions {
  readonly exitCode?: boolean;
  readonly json?: boolean;
}

export function register(program: Command, context: CommandContext): void {
  program
    .command("diff")
    .description("compare two plans: their inputs, then memory, traffic and time, then their instructions")
    .argument("<before>", "plan file, or the directory of a run")
    .argument("<after>", "the plan to compare with it")
    .option("--exit-code", "exit with 2 when they differ")
    .option("--json", "print all differences as JSON")
    .action(
      context.action((before: string, after: string, options: DiffOptions) =>
        diff([before, after], options, context),
      ),
    );
}

async function diff(
  names: readonly [string, string],
  { exitCode, json }: DiffOptions,
  { io }: CommandContext,
): Promise<ExitCode> {
  const before = await openAnyPlan(locatePlan(names[0], io).path);
  const after = await openAnyPlan(locatePlan(names[1], io).path);
  const found = diffPlans(before, after);
  io.stdout.write(json ? jsonText(found) : renderDiff(found, names, screenOf(io.stdout, io.env)));
  return exitCode && !found.same ? 2 : 0;
}
