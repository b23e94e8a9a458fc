/** `lema doctor`: what lema finds on this machine, and what keeps it from running. */
import { resolve } from "node:path";
import type { Command } from "commander";
import { jsonText } from "../../runtime/files.ts";
import type { ExitCode } from "../../schemas/diagnostic.ts";
import type { CommandContext } from "../context.ts";
import { askWith, findCuda } from "../doctor/cuda.ts";
import type { Finding } from "../doctor/finding.ts";
import { findDeviceProfile, findMemory, findNode, findProfile, findSystem } from "../doctor/machine.ts";
import { findNative } from "../doctor/native.ts";
import { findStorage } from "../doctor/storage.ts";
import { probedProfilePath } from "../load-recipe.ts";
import { packageRoot } from "../package.ts";
import { fitRows } from "../render/fit-table.ts";
import { screenOf } from "../render/screen.ts";

interface DoctorOptions {
  readonly directory: string;
  readonly json?: boolean;
}

export function register(program: Command, context: CommandContext): void {
  program
    .command("doctor")
    .description("say what lema finds on this machine, and what keeps it from running (exit 1)")
    .option("--directory <dir>", "the folder that runs are written to", "runs")
    .option("--json", "print the findings as JSON")
    .action(context.action((options: DoctorOptions) => doctor(options, context)));
}

function doctor(options: DoctorOptions, { io, version }: CommandContext): ExitCode {
  const { columns } = screenOf(io.stdout, io.env);
  const findings: readonly Finding[] = [
    {
      name: "lema",
      status: "ok",
      summary: `${version} (${packageRoot()})`,
      facts: { version, path: packageRoot() },
    },
    findNode(process.versions.node),
    findSystem(),
    ...findNative(version),
    ...findCuda(askWith(io.env), io.env.CUDA_HOME),
    findMemory(),
    ...findStorage(resolve(io.cwd, options.directory)),
    findProfile(probedProfilePath(io.env, "cpu")),
    ...findDeviceProfile(probedProfilePath(io.env, "cuda")),
  ];
  const problems = findings.filter(({ status }) => status === "problem").length;
  io.stdout.write(
    options.json ? jsonText({ ok: problems === 0, findings }) : `${format(findings, problems, columns)}\n`,
  );
  return problems === 0 ? 0 : 1;
}

const MARKS: Readonly<Record<Finding["status"], string>> = { ok: "ok", note: "note", problem: "PROBLEM" };

function format(findings: readonly Finding[], problems: number, width: number): string {
  const rows = findings.flatMap(({ name, status, summary, hint }) => {
    const [first = "", ...rest] = summary.split("\n");
    return [
      [MARKS[status], name, first],
      ...rest.map((line) => ["", "", line]),
      ...(hint === undefined ? [] : [["", "", `→ ${hint}`]]),
    ];
  });
  const verdict =
    problems === 0
      ? "lema can run here."
      : `lema cannot run here: ${problems} problem${problems > 1 ? "s" : ""}.`;
  return [...fitRows(rows, { alignment: "l", indent: "", width }), "", verdict].join("\n");
}
