/**
 * What a procedure does to the bytes of its formals, derived from its calls alone.
 *
 * A formal is cut wherever an operand begins or ends; each segment knows the first call that reads it, the first that
 * writes it, whether it is read before the procedure wrote it (so that the caller must have), and what it holds when
 * the procedure ends. A kernel's workspace is written and holds nothing afterwards.
 */
import { type DType, dtypeBytes, tensorBytes } from "../ops/define-op.ts";
import { findOp } from "../ops/index.ts";
import type { PlanCall, PlanProcedure } from "../plan.ts";
import { covers, type Interval } from "./intervals.ts";

/** The formal that kernels' private workspaces lie in. */
export const scratchFormal = "scratch";
/** The formal that a unit's weights are bound to. */
export const weightsFormal = "weights";

/** One operand or workspace of one call. */
export interface CallAccess extends Interval {
  readonly formal: string;
  readonly reads: boolean;
  readonly writes: boolean;
  /** Null for a workspace: what was written there means nothing to anybody else. */
  readonly dtype: DType | null;
  /** Operand name, or `workspace`. */
  readonly name: string;
}

export interface Segment extends Interval {
  readonly formal: string;
  /** Index of the first call that reads it; infinite when none does. */
  readonly firstRead: number;
  readonly firstWrite: number;
  /** Read before any call of the procedure defined it. */
  readonly exposed: boolean;
  /** Dtype of the exposed read. */
  readonly expects: DType | null;
  /** Dtype of what the procedure leaves there when it ends; null when it leaves nothing defined. */
  readonly leaves: DType | null;
  /** First call that reads in another dtype than an earlier call of the procedure wrote or read. */
  readonly confused: number | null;
  /** All bytes of the formal that were written together with these by the call that left them. */
  readonly value: Interval | null;
}

/** Bytes of a formal without the places where operands begin and end inside them. */
export interface FormalRange extends Interval {
  readonly formal: string;
}

/** An operand whose bytes all come from outside the procedure. */
export interface Import extends Interval {
  readonly formal: string;
  readonly call: number;
  readonly operand: string;
}

export interface ProcedureSummary {
  /** What each call touches. */
  readonly calls: readonly (readonly CallAccess[])[];
  readonly imports: readonly Import[];
  /** Calls that read several values at once, one of them only in part: no tensor looks like that. */
  readonly torn: readonly { readonly call: number; readonly operand: string }[];
  readonly segments: readonly Segment[];
  /** What a run reads from outside, and what it writes, scratch included. */
  readonly reads: readonly FormalRange[];
  readonly writes: readonly FormalRange[];
  /** What happens in scratch is the procedure's own affair, and nothing of it is left. */
  readonly scratch: readonly { readonly name: string; readonly bytes: number }[];
  /** The other formals: what a run reads of them from outside, and what it writes. */
  readonly shared: readonly {
    readonly name: string;
    readonly exposed: readonly Pick<Segment, "start" | "end" | "expects">[];
    readonly written: readonly Segment[];
  }[];
  /** For each formal the strictest dtype alignment among its operands. */
  readonly alignment: ReadonlyMap<string, number>;
}

/** Every byte range that a call touches; operands that the op does not declare count as read and written. */
export function callAccesses(call: PlanCall): CallAccess[] {
  const op = findOp(call.op);
  const accesses: CallAccess[] = Object.entries(call.operands).map(([name, operand]) => {
    const access = op?.operands[name]?.access ?? "update";
    const end = operand.offset + tensorBytes(operand.shape, operand.dtype);
    return {
      name,
      formal: operand.formal,
      start: operand.offset,
      end,
      reads: access !== "write" || operand.accumulate === true,
      writes: access !== "read",
      dtype: operand.dtype,
    };
  });
  if (call.workspace) {
    const { offset, bytes } = call.workspace;
    accesses.push({
      name: "workspace",
      formal: scratchFormal,
      start: offset,
      end: offset + bytes,
      reads: false,
      writes: true,
      dtype: null,
    });
  }
  return accesses;
}

interface MutableSegment extends Interval {
  readonly formal: string;
  firstRead: number;
  firstWrite: number;
  exposed: boolean;
  expects: DType | null;
  leaves: DType | null;
  confused: number | null;
  /** Whose value stands there: the access of an earlier call. */
  value: CallAccess | null;
}

export function summarizeProcedure(procedure: PlanProcedure): ProcedureSummary {
  const calls = procedure.calls.map(callAccesses);
  const segments = new Map(
    procedure.formals.map(({ name }) => [
      name,
      cut(
        name,
        calls.flat().filter((access) => access.formal === name),
      ),
    ]),
  );
  const torn: { call: number; operand: string }[] = [];
  const imports: Import[] = [];
  calls.forEach((accesses, index) => {
    for (const access of accesses) {
      if (!access.reads) continue;
      const read = within(segments, access);
      if (tears(access, read)) torn.push({ call: index, operand: access.name });
      if (read.every(({ leaves }) => leaves === null)) {
        const { formal, start, end, name } = access;
        imports.push({ formal, start, end, call: index, operand: name });
      }
      for (const segment of read) readAt(segment, index, access);
    }
    for (const access of accesses) {
      if (access.writes) for (const segment of within(segments, access)) writeAt(segment, index, access);
    }
  });
  const alignment = new Map<string, number>();
  for (const { operands } of procedure.calls) {
    for (const { formal, dtype } of Object.values(operands)) {
      alignment.set(formal, Math.max(alignment.get(formal) ?? 1, dtypeBytes[dtype]));
    }
  }
  const shared = procedure.formals
    .filter(({ access }) => access !== "scratch")
    .map(({ name }) => ({
      name,
      exposed: joined(
        segments.get(name)!.filter(({ exposed }) => exposed),
        (a, b) => a.expects === b.expects,
      ),
      written: segments.get(name)!.filter(({ firstWrite }) => firstWrite < Number.POSITIVE_INFINITY),
    }));
  const scratch = procedure.formals.filter(({ access }) => access === "scratch");
  const all = [...segments.values()].flat();
  const sameFormal = (a: FormalRange, b: FormalRange) => a.formal === b.formal;
  const reads = joined(
    all.filter(({ exposed }) => exposed),
    sameFormal,
  );
  const writes = joined(
    all.filter(({ firstWrite }) => firstWrite < Number.POSITIVE_INFINITY),
    sameFormal,
  );
  return { calls, segments: all, reads, writes, scratch, shared, imports, torn, alignment };
}

/** Sorted segments, those that touch and are alike as one. */
function joined(segments: readonly Segment[], alike: (a: Joined, b: Segment) => boolean): Joined[] {
  const all: (Joined & { end: number })[] = [];
  for (const segment of segments) {
    const { formal, start, end, expects } = segment;
    const last = all.at(-1);
    if (last?.end === start && alike(last, segment)) last.end = end;
    else all.push({ formal, start, end, expects });
  }
  return all;
}

type Joined = FormalRange & Pick<Segment, "expects">;

function readAt(segment: MutableSegment, call: number, { dtype }: CallAccess): void {
  segment.firstRead = Math.min(segment.firstRead, call);
  const held = segment.leaves ?? segment.expects;
  if (held !== null && held !== dtype) segment.confused ??= call;
  // Once exposed, always exposed; a workspace in between undefines the bytes again.
  if (segment.leaves !== null) return;
  segment.exposed = true;
  segment.expects = dtype;
}

function writeAt(segment: MutableSegment, call: number, access: CallAccess): void {
  segment.firstWrite = Math.min(segment.firstWrite, call);
  segment.leaves = access.dtype;
  segment.value = access;
}

/** A read takes one value or a part of it, or several values whole. */
function tears(access: CallAccess, read: readonly MutableSegment[]): boolean {
  const values = new Set(read.map(({ value }) => value));
  return values.size > 1 && [...values].some((value) => value !== null && !covers(access, value));
}

function cut(formal: string, accesses: readonly CallAccess[]): MutableSegment[] {
  const points = [...new Set(accesses.flatMap(({ start, end }) => [start, end]))].sort((a, b) => a - b);
  return points.slice(1).map((end, i) => ({
    formal,
    start: points[i]!,
    end,
    firstRead: Number.POSITIVE_INFINITY,
    firstWrite: Number.POSITIVE_INFINITY,
    exposed: false,
    expects: null,
    leaves: null,
    confused: null,
    value: null,
  }));
}

function within(segments: ReadonlyMap<string, MutableSegment[]>, access: CallAccess): MutableSegment[] {
  return (segments.get(access.formal) ?? []).filter(
    ({ start, end }) => access.start <= start && end <= access.end,
  );
}
