/** Where a plan named on the command line stands: a plan file, or the directory of a run. */
import { statSync } from "node:fs";
import { join, resolve } from "node:path";
import { PLAN_FILE } from "../runtime/run-directory.ts";
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import type { CliIo } from "./io.ts";

export interface PlanLocation {
  readonly path: string;
  /** The run's, or null for a plan file. */
  readonly directory: string | null;
}

export function locatePlan(argument: string, { cwd }: Pick<CliIo, "cwd">): PlanLocation {
  const path = resolve(cwd, argument);
  const isDirectory = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  return isDirectory ? { path: join(path, PLAN_FILE), directory: path } : { path, directory: null };
}

/** What compares a run with its plan was given something else. */
export function noRecordedRun(argument: string): DiagnosticError {
  return new DiagnosticError(
    diagnostic("run.not-found", {
      summary: `${argument} belongs to no run with recorded steps`,
      where: { file: argument },
      hint: "name the directory of a run: `lema exec PLAN` makes one",
    }),
  );
}
