/**
 * One process at a time writes a thing: a file that names the process. A lock whose process is gone (killed, or the
 * machine restarted) is taken over.
 */
import { readFileSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";

export interface LockOwner {
  readonly host: string;
  readonly pid: number;
  /** When the process began, as the kernel counts it: a later process may get the same pid. Null where unknown. */
  readonly started: string | null;
}

/** Makes the file `path` for this process and returns what removes it. Throws `refusal` where another process has it. */
export async function lockFile(
  path: string,
  refusal: (owner: LockOwner) => Error,
): Promise<() => Promise<void>> {
  const own: LockOwner = { host: hostname(), pid: process.pid, started: startOf(process.pid) };
  for (;;) {
    try {
      await writeFile(path, `${JSON.stringify(own)}\n`, { flag: "wx" });
      return () => rm(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const owner = await ownerOf(path);
    if (owner && isAlive(owner)) throw refusal(owner);
    await rm(path, { force: true });
  }
}

async function ownerOf(path: string): Promise<LockOwner | null> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as LockOwner;
  } catch {
    // Cut short by a crash, or just removed by its owner.
    return null;
  }
}

/** Nothing can be told of a process on another machine that shares the directory: it is taken to be alive. */
function isAlive({ host, pid, started }: LockOwner): boolean {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  return startOf(pid) === started;
}

/**
 * Field 22 of /proc/PID/stat, counted behind the process name, which may hold anything. Null also of a process that has
 * ended and whom nobody asks how, as where the first process of a container is no init: its pid is still taken.
 */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}
