/** `lema explain`: a run's last step beside its prediction, and a profile that would have predicted it. */
import { relative, resolve } from "node:path";
import type { Command } from "commander";
import { jsonText, replaceFile } from "../../runtime/files.ts";
import { readMetrics } from "../../runtime/metrics.ts";
import { openPlan } from "../../runtime/open-plan.ts";
import { readRecord, readTrace } from "../../runtime/run-directory.ts";
import type { ExitCode } from "../../schemas/diagnostic.ts";
import { type CommandContext, positive } from "../context.ts";
import { calibrate, opTotals } from "../explain/calibrate.ts";
import { compareTimes } from "../explain/compare-times.ts";
import { renderExplanation, worstOf } from "../explain/render-explanation.ts";
import { columnsOf } from "../io.ts";
import { locatePlan, noRecordedRun } from "../locate-plan.ts";
import { profileText } from "../probe/profile-text.ts";

interface ExplainOptions {
  readonly profile?: string;
  readonly worst: number;
  readonly json?: boolean;
}

export function register(program: Command, context: CommandContext): void {
  program
    .command("explain")
    .description("compare the last step of a traced run with its prediction, instruction by instruction")
    .argument("<run>", "directory of a run made with `exec --trace`")
    .option("--profile <file>", "write a hardware profile that is calibrated by the run, to plan from")
    .option("--worst <count>", "how many of the worst predicted instructions are shown", positive, 10)
    .option("--json", "print all of it as JSON")
    .action(context.action((run: string, options: ExplainOptions) => explain(run, options, context)));
}

async function explain(
  run: string,
  options: ExplainOptions,
  { io, version }: CommandContext,
): Promise<ExitCode> {
  const { path, directory } = locatePlan(run, io);
  if (directory === null) throw noRecordedRun(run);
  const plan = await openPlan(path);
  const explanation = compareTimes(plan, await readTrace(directory), await readMetrics(directory));
  const ops = opTotals(plan, explanation);
  const memory = (await readRecord(directory))?.memory ?? null;
  if (options.json) {
    const instructions = explanation.instructions.map(({ instruction: { id, lane }, ...times }) => ({
      id,
      lane,
      ...times,
    }));
    const worst = worstOf(explanation, options.worst).map(({ instruction }) => instruction.id);
    io.stdout.write(jsonText({ plan_id: plan.plan_id, ...explanation, instructions, ops, worst, memory }));
  } else {
    io.stdout.write(renderExplanation(explanation, ops, memory, options.worst, columnsOf(io.stdout)));
  }
  if (options.profile !== undefined) {
    const file = resolve(io.cwd, options.profile);
    await replaceFile(
      file,
      profileText(calibrate(plan, explanation), `written by lema explain ${version} from ${plan.plan_id}`),
    );
    io.stderr.write(`Wrote ${relative(io.cwd, file)}; plan from it with \`hardware: ${options.profile}\`\n`);
  }
  return 0;
}
