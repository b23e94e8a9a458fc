/**
 * One process at a time writes into a run's directory: `lock.json` names it. A lock whose process is gone (killed, or
 * the machine restarted) is taken over.
 */
import { readFileSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import { asUnwritable } from "./run-directory.ts";

export const LOCK_FILE = "lock.json";

interface Owner {
  readonly host: string;
  readonly pid: number;
  /** When the process began, as the kernel counts it: a later process may get the same pid. Null where unknown. */
  readonly started: string | null;
}

/** Takes the directory for this process; returns what gives it back. Throws `run.locked`. */
export async function lockRun(directory: string): Promise<() => Promise<void>> {
  const path = join(directory, LOCK_FILE);
  const own: Owner = { host: hostname(), pid: process.pid, started: startOf(process.pid) };
  await mkdir(directory, { recursive: true });
  for (;;) {
    try {
      await writeFile(path, `${JSON.stringify(own)}\n`, { flag: "wx" });
      return () => rm(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw asUnwritable(error, directory);
    }
    const owner = await ownerOf(path);
    if (owner && isAlive(owner)) refuse(directory, owner);
    await rm(path, { force: true });
  }
}

async function ownerOf(path: string): Promise<Owner | null> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as Owner;
  } catch {
    // Cut short by a crash, or just removed by its owner.
    return null;
  }
}

/** Nothing can be told of a process on another machine that shares the directory: it is taken to be alive. */
function isAlive({ host, pid, started }: Owner): boolean {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  return startOf(pid) === started;
}

/** Field 22 of /proc/PID/stat, counted behind the process name, which may hold anything. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  } catch {
    return null;
  }
}

function refuse(directory: string, { host, pid }: Owner): never {
  throw new DiagnosticError(
    diagnostic("run.locked", {
      summary: `${directory} is being written by process ${pid} on ${host}`,
      where: { file: directory },
      hint: `wait for it or stop it; if it does not exist any more, remove ${join(directory, LOCK_FILE)}`,
    }),
  );
}
