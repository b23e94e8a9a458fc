/** `lema verify`: proves a plan file from its own contents, without the planner. */
import type { Command } from "commander";
import { openAnyPlan } from "../../runtime/open-plan.ts";
import type { ExitCode } from "../../schemas/diagnostic.ts";
import { checks } from "../../schemas/verify/index.ts";
import type { CommandContext } from "../context.ts";
import { locatePlan } from "../locate-plan.ts";
import { fitRows } from "../render/fit-table.ts";
import { screenOf, textWidth } from "../render/screen.ts";
import { formatCount } from "../render/table.ts";

export function register(program: Command, context: CommandContext): void {
  program
    .command("verify")
    .description("prove that a plan is safe and means what it says (exit 5 when it is not)")
    .argument("<plan>", "plan file, or the directory of a run")
    .option("--json", "print the result as JSON")
    .action(context.action((file: string, options: { json?: boolean }) => verify(file, options, context)));
}

/** Violations are thrown by `openAnyPlan` and rendered like all errors. */
async function verify(
  file: string,
  { json }: { readonly json?: boolean },
  { io }: CommandContext,
): Promise<ExitCode> {
  const { plan_id, programs } = await openAnyPlan(locatePlan(file, io).path);
  const instructions = Object.values(programs).reduce(
    (sum, { prologue, steady, epilogue }) => sum + prologue.length + steady.length + epilogue.length,
    0,
  );
  if (json) {
    const proved = checks.map(({ name, proves }) => ({ name, proves }));
    io.stdout.write(`${JSON.stringify({ plan_id, verified: true, instructions, proved }, null, 2)}\n`);
    return 0;
  }
  const rows = checks.map(({ name, proves }) => [name, proves]);
  const width = textWidth(screenOf(io.stdout, io.env));
  io.stdout.write(`${file}: ok, ${formatCount(instructions)} instructions proved\n`);
  io.stdout.write(`${fitRows(rows, { alignment: "l", indent: "  ", width }).join("\n")}\n${plan_id}\n`);
  return 0;
}
