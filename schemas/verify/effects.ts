/**
 * What an instruction does to memory, derived from its kind, its procedure's calls and its bindings, never from
 * what it declares. The canonical form has, per buffer, sorted ranges that neither overlap nor touch; buffers stand in
 * the order of their ids.
 *
 * - read and gather write their destination and their staging range; gather reads the token ids;
 * - copy reads its source and writes its destination; write reads its source and writes its staging range;
 * - run reads what its calls read before a call of the same run wrote it, and writes what its calls write, workspaces
 *   included.
 */
import type { Instruction, Place, Range } from "../plan.ts";
import type { PlanIndex } from "./plan-index.ts";
import type { FormalRange } from "./procedure-summary.ts";

export interface Effects {
  readonly reads: readonly Range[];
  readonly writes: readonly Range[];
}

export function effectsOf(index: PlanIndex, instruction: Instruction): Effects {
  const { reads, writes } = rawEffects(index, instruction);
  return { reads: canonicalRanges(reads), writes: canonicalRanges(writes) };
}

function rawEffects(index: PlanIndex, instruction: Instruction): Effects {
  switch (instruction.kind) {
    case "read":
      return {
        reads: [],
        writes: [...instruction.segments.map(({ to, bytes }) => at(to, bytes)), instruction.staging],
      };
    case "gather":
      return {
        reads: [instruction.indices],
        writes: [at(instruction.to, gatheredBytes(instruction)), instruction.staging],
      };
    case "copy":
      return {
        reads: [at(instruction.from, instruction.bytes)],
        writes: [at(instruction.to, instruction.bytes)],
      };
    case "write":
      return { reads: [instruction.from], writes: [instruction.staging] };
    case "run": {
      const { reads, writes } = index.summary(index.procedure(instruction.procedure));
      const bound = ({ formal, start, end }: FormalRange): Range => {
        const { buffer, offset } = instruction.bind[formal]!;
        return { buffer, offset: offset + start, bytes: end - start };
      };
      return { reads: reads.map(bound), writes: writes.map(bound) };
    }
  }
}

/** Bytes of all rows that a gather fetches: one row for each i32 token id. */
export function gatheredBytes({ indices, row_bytes }: Extract<Instruction, { kind: "gather" }>): number {
  return (indices.bytes / 4) * row_bytes;
}

function at({ buffer, offset }: Place, bytes: number): Range {
  return { buffer, offset, bytes };
}

function canonicalRanges(ranges: readonly Range[]): Range[] {
  const sorted = ranges
    .filter(({ bytes }) => bytes > 0)
    .sort((a, b) => (a.buffer === b.buffer ? a.offset - b.offset : a.buffer < b.buffer ? -1 : 1));
  const canonical: Range[] = [];
  for (const { buffer, offset, bytes } of sorted) {
    const last = canonical.at(-1);
    if (last?.buffer === buffer && offset <= last.offset + last.bytes) {
      last.bytes = Math.max(last.bytes, offset + bytes - last.offset);
    } else canonical.push({ buffer, offset, bytes });
  }
  return canonical;
}
