/** The folder that runs are written to: free space, and whether reads there can pass the page cache. */
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { formatBytes } from "../../schemas/units.ts";
import type { Finding } from "./finding.ts";

const BLOCK = 4096;
const LITTLE = 2 ** 30;

export function findStorage(folder: string): Finding[] {
  const there = nearestExisting(folder);
  const { bavail, bsize } = statfsSync(there);
  const free = bavail * bsize;
  const disk: Finding = {
    name: "disk",
    status: free < LITTLE ? "note" : "ok",
    summary: `${formatBytes(free)} free in ${there}`,
    ...(free < LITTLE && { hint: "checkpoints and merged models need room" }),
    facts: { folder: there, free },
  };
  return [disk, findDirectReads(there)];
}

/** Reads a block of a file made for it with O_DIRECT. */
function findDirectReads(folder: string): Finding {
  const path = join(folder, `.lema-doctor-${process.pid}`);
  try {
    writeFileSync(path, Buffer.alloc(BLOCK, 1));
  } catch (error) {
    return {
      name: "direct reads",
      status: "problem",
      summary: `cannot write in ${folder}: ${(error as Error).message}`,
      hint: "give `--directory` a folder that you may write, and recipes an `output` there",
      facts: { direct: null },
    };
  }
  try {
    const direct = readsDirectly(path);
    return {
      name: "direct reads",
      status: direct ? "ok" : "note",
      summary: direct ? "O_DIRECT works there" : "O_DIRECT is refused there",
      ...(!direct && { hint: "weights are read through the page cache; slower where they stream" }),
      facts: { direct },
    };
  } finally {
    rmSync(path, { force: true });
  }
}

/** O_DIRECT wants aligned memory, and a Buffer's address is not told: some offset of a larger one is aligned. */
function readsDirectly(path: string): boolean {
  if (constants.O_DIRECT === undefined) return false; // Not Linux.
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_DIRECT);
  } catch {
    return false;
  }
  try {
    const memory = Buffer.allocUnsafeSlow(2 * BLOCK);
    for (let offset = 0; offset < BLOCK; offset += 8) {
      if (tryRead(file, memory, offset)) return true;
    }
    return false;
  } finally {
    closeSync(file);
  }
}

function tryRead(file: number, memory: Buffer, offset: number): boolean {
  try {
    return readSync(file, memory, offset, BLOCK, 0) === BLOCK;
  } catch {
    return false; // EINVAL: not aligned, or not honoured at all.
  }
}

function nearestExisting(folder: string): string {
  return existsSync(folder) ? folder : nearestExisting(dirname(folder));
}
