/** Where a plan named on the command line stands: a plan file, or the directory of a run. */
import { statSync } from "node:fs";
import { join, resolve } from "node:path";
import { PLAN_FILE } from "../runtime/run-directory.ts";
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
