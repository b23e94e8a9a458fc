/** Files that must be whole or absent: written beside, synced, renamed. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

/** Hex SHA-256 and size of a file. */
export async function digestFile(path: string): Promise<{ sha256: string; size: number }> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { sha256: hash.digest("hex"), size };
}

/** Writes a file and waits until it is on disk. Errors of the system name it. */
export async function writeSynced(path: string, content: string | Uint8Array): Promise<void> {
  const file = await open(path, "w");
  try {
    await file.writeFile(content);
    await file.sync();
  } catch (error) {
    // That of a full disk knows no path.
    throw Object.assign(error as NodeJS.ErrnoException, { path });
  } finally {
    await file.close();
  }
}

/**
 * Replaces a file in one step: a reader sees the old content or the new one. A device or a pipe, such as /dev/null, is
 * written to and stays what it is. Errors of the system name the path.
 */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  if (await isStream(path)) return writeFile(path, content);
  // Two processes that replace it at once write two of them.
  const partial = `${path}.${process.pid}.partial`;
  try {
    await writeSynced(partial, content);
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw Object.assign(error as NodeJS.ErrnoException, { path });
  }
  await syncDirectory(dirname(path));
}

async function isStream(path: string): Promise<boolean> {
  const known = await stat(path).catch(() => null);
  return known !== null && !known.isFile() && !known.isDirectory();
}

/** Makes creations and renames in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** JSON as lema writes it: indented, with a line break at the end. */
export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
