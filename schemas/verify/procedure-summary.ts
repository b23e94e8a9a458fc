/**
 * What a procedure does to the bytes of its formals, derived from its calls alone.
 *
 * A formal is cut wherever an operand begins or ends; each segment knows the first call that reads it, the first that
 * writes it, whether it is read before the procedure wrote it (so that the caller must have), and whether it is
 * defined when the procedure ends. A kernel's workspace is written and holds nothing afterwards.
 */
import { dtypeBytes, tensorBytes } from "../ops/define-op.ts";
import { findOp } from "../ops/index.ts";
import type { PlanCall, PlanProcedure } from "../plan.ts";
import type { Interval } from "./intervals.ts";

/** The formal that kernels' private workspaces lie in. */
export const scratchFormal = "scratch";
/** The formal that a unit's weights are bound to. */
export const weightsFormal = "weights";

/** One operand or workspace of one call. */
export interface CallAccess extends Interval {
  readonly formal: string;
  readonly reads: boolean;
  readonly writes: boolean;
  /** False for a workspace: what was written there means nothing to anybody else. */
  readonly defines: boolean;
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
  /** Defined by the procedure when it ends. */
  readonly defined: boolean;
}

export interface ProcedureSummary {
  readonly segments: readonly Segment[];
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
      defines: access !== "read",
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
      defines: false,
    });
  }
  return accesses;
}

interface MutableSegment extends Interval {
  readonly formal: string;
  firstRead: number;
  firstWrite: number;
  exposed: boolean;
  defined: boolean;
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
  calls.forEach((accesses, index) => {
    for (const access of accesses) {
      if (access.reads) for (const segment of within(segments, access)) readAt(segment, index);
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
  return { segments: [...segments.values()].flat(), alignment };
}

function readAt(segment: MutableSegment, call: number): void {
  segment.firstRead = Math.min(segment.firstRead, call);
  // Once exposed, always exposed; a workspace in between undefines the bytes again.
  if (!segment.defined) segment.exposed = true;
}

function writeAt(segment: MutableSegment, call: number, { defines }: CallAccess): void {
  segment.firstWrite = Math.min(segment.firstWrite, call);
  segment.defined = defines;
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
    defined: false,
  }));
}

function within(segments: ReadonlyMap<string, MutableSegment[]>, access: CallAccess): MutableSegment[] {
  return (segments.get(access.formal) ?? []).filter(
    ({ start, end }) => access.start <= start && end <= access.end,
  );
}
