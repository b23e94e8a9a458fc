/** Static allocation instances in MiniMalloc's format, and a judge of their solutions that knows no allocator. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Block } from "../planner/layout/blocks.ts";

export interface Instance {
  readonly name: string;
  readonly capacity: number;
  readonly blocks: readonly Block[];
}

/** All instances `NAME.CAPACITY.csv` of a folder by name; columns `id,lower,upper,size`, lifetimes half-open. */
export function readInstances(folder: string): readonly Instance[] {
  return readdirSync(folder)
    .filter((file) => /^[^.]+\.\d+\.csv$/.test(file))
    .sort()
    .map((file) => {
      const [name, capacity] = file.split(".");
      return {
        name: name!,
        capacity: Number(capacity),
        blocks: parseBlocks(file, readFileSync(join(folder, file), "utf8")),
      };
    });
}

function parseBlocks(file: string, text: string): readonly Block[] {
  const [head, ...lines] = text.trim().split(/\r?\n/);
  if (head !== "id,lower,upper,size") throw new Error(`${file} begins with ${head}, not id,lower,upper,size`);
  return lines.map((line) => {
    const [, start, end, bytes] = line.split(",").map(Number);
    if (![start, end, bytes].every(Number.isSafeInteger)) throw new Error(`${file} has no buffer in ${line}`);
    return { start: start!, end: end!, bytes: bytes!, alignment: 1 };
  });
}

/** What is wrong with a placement below `height`, in words; undefined when nothing is. */
export function findFault(
  blocks: readonly Block[],
  offsets: readonly number[],
  height: number,
): string | undefined {
  for (const [i, a] of blocks.entries()) {
    const at = offsets[i];
    if (at === undefined || at < 0 || at % a.alignment !== 0) return `${i} is misplaced at ${at}`;
    if (at + a.bytes > height) return `${i} ends at ${at + a.bytes}, above ${height}`;
    for (const [j, b] of blocks.slice(0, i).entries()) {
      const together = a.start < b.end && b.start < a.end;
      if (together && at < offsets[j]! + b.bytes && offsets[j]! < at + a.bytes)
        return `${j} and ${i} share bytes`;
    }
  }
  return undefined;
}
