/**
 * Outputs that are whole or absent: they are made beside their place and renamed, by one process at a time. Nothing that
 * was there is touched; a failure leaves nothing behind.
 */
import { mkdir, readdir, rename, rm, rmdir, statfs } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import { formatBytes } from "../schemas/units.ts";
import { makeDirectory } from "./make-directory.ts";
import { lockFile } from "./process-lock.ts";
import { refuse } from "./refuse.ts";

/**
 * Makes `directory` of about `bytes` with what `fill` writes into the directory it is given. Throws `output.exists`,
 * `output.locked` and `output.no-space`.
 */
export async function writeDirectory<T>(
  directory: string,
  bytes: number,
  fill: (partial: string) => Promise<T>,
): Promise<T> {
  return withOutputLock(directory, async () => {
    await checkVacant(directory);
    const parent = dirname(directory);
    await checkSpace(parent, bytes);
    const partial = join(parent, `.${basename(directory)}.partial`);
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial);
    try {
      const result = await fill(partial);
      await rmdir(directory).catch(ignoreMissing);
      await rename(partial, directory);
      return result;
    } catch (error) {
      await rm(partial, { recursive: true, force: true });
      throw asNoSpace(error, directory);
    }
  });
}

/** Keeps other processes from writing `path`, a file or a directory, while `action` does. Throws `output.locked`. */
export async function withOutputLock<T>(path: string, action: () => Promise<T>): Promise<T> {
  const parent = dirname(path);
  await makeDirectory(parent);
  const lock = join(parent, `.${basename(path)}.lock`);
  const unlock = await lockFile(lock, ({ host, pid }) => {
    const summary = `${path} is being written by process ${pid} on ${host}`;
    const hint = `wait for it, or choose another place; if it does not exist any more, remove ${lock}`;
    return new DiagnosticError(diagnostic("output.locked", { summary, where: { file: path }, hint }));
  }).catch((error) => {
    throw asNoSpace(error, path);
  });
  try {
    return await action();
  } finally {
    await unlock();
  }
}

/** Throws `output.exists` unless `directory` is absent or empty. */
export async function checkVacant(directory: string): Promise<void> {
  const entries = await readdir(directory).catch(ignoreMissing);
  if (entries !== undefined && entries.length > 0) {
    const hint = "choose another directory, or move it away";
    refuse("output.exists", directory, `is not empty (${entries[0]})`, hint);
  }
}

/** Throws `output.no-space` where the file system of `directory` has less than `bytes` left. */
export async function checkSpace(directory: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  if (bavail * bsize >= bytes) return;
  throw noSpace(directory, `needs ${formatBytes(bytes)}, and ${formatBytes(bavail * bsize)} are free`);
}

const MAKE_ROOM = "make room, or write to another disk";
/** What leaves no room for a file, and the way out. */
const NO_ROOM: ReadonlyMap<string, readonly [what: string, hint: string]> = new Map([
  ["ENOSPC", ["the disk is full", MAKE_ROOM]],
  ["EDQUOT", ["the quota of the disk is used up", MAKE_ROOM]],
  [
    "EFBIG",
    [
      "a file may not become that large here",
      "lift the limit (`ulimit -f`), write to another file system, or write smaller files",
    ],
  ],
]);

/** A full disk, as a diagnostic; other errors as they are, those of the system with the path that they lack. */
export function asNoSpace(error: unknown, path: string): unknown {
  if (!(error instanceof Error && "code" in error)) return error;
  const reason = NO_ROOM.get(String(error.code));
  if (reason !== undefined) return noSpace(path, ...reason);
  return "syscall" in error && !("path" in error) ? Object.assign(error, { path }) : error;
}

function noSpace(path: string, what: string, hint = MAKE_ROOM): DiagnosticError {
  return new DiagnosticError(
    diagnostic("output.no-space", { summary: `${path}: ${what}`, where: { file: path }, hint }),
  );
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}
