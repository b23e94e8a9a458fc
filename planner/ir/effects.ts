/**
 * Which bytes a task reads and writes. For a run the accesses are those of each op call, so that a wait can stand
 * before the first call that needs it instead of before the whole procedure.
 */
import { invariant } from "../../schemas/diagnostic.ts";
import { tensorBytes } from "../../schemas/ops/define-op.ts";
import { getOp, type OpName } from "../../schemas/ops/index.ts";
import type { PlanProcedure, Range } from "../../schemas/plan.ts";
import type { Task } from "./schedule.ts";
import type { Units } from "./units.ts";

export interface Access {
  readonly buffer: string;
  /** [start, end) inside the buffer. */
  readonly start: number;
  readonly end: number;
  readonly write: boolean;
  /** Call of the procedure that touches it; 0 for other tasks. */
  readonly call: number;
}

export interface EffectContext {
  readonly procedures: ReadonlyMap<string, PlanProcedure>;
  readonly units: Units;
  /** Bytes of the buffer `staging`. */
  readonly stagingBytes: number;
  /** Bytes that a gather writes. */
  readonly gatherBytes: (task: Extract<Task, { kind: "gather" }>) => number;
  /** Filled as procedures are met. */
  readonly known: Map<string, readonly FormalAccess[]>;
}

/** All accesses of a task in the order of its calls; a byte read and written shows up twice. */
export function accessesOf(task: Task, context: EffectContext): readonly Access[] {
  const staging: Access = { buffer: "staging", start: 0, end: context.stagingBytes, write: true, call: 0 };
  switch (task.kind) {
    case "run":
      return runAccesses(task, context);
    case "read": {
      const unit = context.units.byId.get(task.unit)!;
      const parts = unit.parts.map((part) => access(task.to, part.at, part.bytes, true));
      return [...parts, staging];
    }
    case "gather":
      return [
        access(task.indices.buffer, task.indices.offset, task.indices.bytes, false),
        access(task.to.buffer, task.to.offset, context.gatherBytes(task), true),
        staging,
      ];
    case "copy":
      return [
        access(task.from.buffer, task.from.offset, task.bytes, false),
        access(task.to.buffer, task.to.offset, task.bytes, true),
      ];
    case "write":
      return [access(task.from.buffer, task.from.offset, task.from.bytes, false), staging];
  }
}

/** The buffers a task touches; what lifetimes need, without walking every call. */
export function buffersOf(task: Task): readonly string[] {
  switch (task.kind) {
    case "run":
      return Object.values(task.bind).map(({ buffer }) => buffer);
    case "read":
      return [task.to, "staging"];
    case "gather":
      return [task.indices.buffer, task.to.buffer, "staging"];
    case "copy":
      return [task.from.buffer, task.to.buffer];
    case "write":
      return [task.from.buffer, "staging"];
  }
}

function runAccesses(task: Extract<Task, { kind: "run" }>, context: EffectContext): readonly Access[] {
  return formalAccesses(task.procedure, context).map(({ formal, start, end, write, call }) => {
    const place = task.bind[formal]!;
    return { buffer: place.buffer, start: place.offset + start, end: place.offset + end, write, call };
  });
}

interface FormalAccess extends Omit<Access, "buffer"> {
  readonly formal: string;
}

/** What a procedure's calls touch, relative to its formals; worked out once per procedure. */
function formalAccesses(id: string, { procedures, known }: EffectContext): readonly FormalAccess[] {
  const cached = known.get(id);
  if (cached) return cached;
  const procedure = procedures.get(id);
  invariant(procedure, `procedure ${id} does not exist`);
  const accesses = procedure.calls.flatMap((call, index) => {
    const { operands } = getOp(call.op as OpName);
    const touched = Object.entries(call.operands).flatMap(
      ([name, { formal, offset, shape, dtype, accumulate }]) => {
        const range = { formal, start: offset, end: offset + tensorBytes(shape, dtype), call: index };
        const declared = operands[name]!.access;
        return [
          ...(declared !== "write" || accumulate ? [{ ...range, write: false }] : []),
          ...(declared === "read" ? [] : [{ ...range, write: true }]),
        ];
      },
    );
    if (!call.workspace) return touched;
    const { offset, bytes } = call.workspace;
    return [...touched, { formal: "scratch", start: offset, end: offset + bytes, call: index, write: true }];
  });
  known.set(id, accesses);
  return accesses;
}

function access(buffer: string, offset: number, bytes: number, write: boolean): Access {
  return { buffer, start: offset, end: offset + bytes, write, call: 0 };
}

/** Sorted, merged ranges of the accesses of one kind. */
export function mergedRanges(accesses: readonly Access[], write: boolean): Range[] {
  const sorted = accesses
    .filter((item) => item.write === write && item.end > item.start)
    .toSorted((a, b) => (a.buffer === b.buffer ? a.start - b.start : a.buffer < b.buffer ? -1 : 1));
  const merged: { buffer: string; start: number; end: number }[] = [];
  for (const { buffer, start, end } of sorted) {
    const last = merged.at(-1);
    if (last && last.buffer === buffer && start <= last.end) last.end = Math.max(last.end, end);
    else merged.push({ buffer, start, end });
  }
  return merged.map(({ buffer, start, end }) => ({ buffer, offset: start, bytes: end - start }));
}
