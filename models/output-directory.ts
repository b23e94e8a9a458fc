/**
 * A directory that is whole or absent: it is filled beside its place and renamed. Nothing that was there is touched; a
 * failure leaves nothing behind.
 */
import { mkdir, readdir, rename, rm, rmdir, statfs } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import { formatBytes } from "../schemas/units.ts";
import { refuse } from "./refuse.ts";

/**
 * Makes `directory` of about `bytes` with what `fill` writes into the directory it is given. Throws `output.exists` and
 * `output.no-space`.
 */
export async function writeDirectory<T>(
  directory: string,
  bytes: number,
  fill: (partial: string) => Promise<T>,
): Promise<T> {
  await checkVacant(directory);
  const parent = dirname(directory);
  await mkdir(parent, { recursive: true });
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

/** A full disk, as a diagnostic; other errors as they are. */
export function asNoSpace(error: unknown, path: string): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ENOSPC" || code === "EDQUOT" ? noSpace(path, "the disk is full") : error;
}

function noSpace(path: string, what: string): DiagnosticError {
  return new DiagnosticError(
    diagnostic("output.no-space", {
      summary: `${path}: ${what}`,
      where: { file: path },
      hint: "make room, or write to another disk",
    }),
  );
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}
