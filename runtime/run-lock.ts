/** One process at a time writes into a run's directory: `lock.json` names it. */
import { join } from "node:path";
import { makeDirectory } from "../models/make-directory.ts";
import { type LockOwner, lockFile } from "../models/process-lock.ts";
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import { asUnwritable } from "./run-directory.ts";

export const LOCK_FILE = "lock.json";

/** Takes the directory for this process; returns what gives it back. Throws `run.locked`. */
export async function lockRun(directory: string): Promise<() => Promise<void>> {
  await makeDirectory(directory);
  return lockFile(join(directory, LOCK_FILE), (owner) => locked(directory, owner)).catch((error) => {
    throw asUnwritable(error, directory);
  });
}

function locked(directory: string, { host, pid }: LockOwner): DiagnosticError {
  return new DiagnosticError(
    diagnostic("run.locked", {
      summary: `${directory} is being written by process ${pid} on ${host}`,
      where: { file: directory },
      hint: `wait for it or stop it; if it does not exist any more, remove ${join(directory, LOCK_FILE)}`,
    }),
  );
}
