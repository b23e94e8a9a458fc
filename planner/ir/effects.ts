/**
 * Which bytes a task reads and writes. For a run the accesses are those of each op call, so that a wait can stand
 * before the first call that needs it instead of before the whole procedure.
 */
import { invariant } from "../../schemas/diagnostic.ts";
import { tensorBytes } from "../../schemas/ops/define-op.ts";
import { getOp, type OpName } from "../../schemas/ops/index.ts";
import type { PlanProcedure, Range } from "../../schemas/plan.ts";
import type { Task } from "./schedule.ts";

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
    case "read":
      return [...task.parts.map((part) => access(task.to, part.at, part.bytes, true)), staging];
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

/**
 * What a task reads from outside and what it writes: sorted, merged ranges. A byte that one call writes and a later
 * call of the same task reads was not read from outside.
 */
export function effectsOf(accesses: readonly Access[]): {
  readonly reads: Range[];
  readonly writes: Range[];
} {
  const written = new Map<string, Span[]>();
  const reads = new Map<string, Span[]>();
  for (const [, group] of groupByCall(accesses)) {
    for (const access of group.filter(({ write }) => !write)) {
      const outside = subtract(access, written.get(access.buffer) ?? []);
      if (outside.length > 0)
        reads.set(access.buffer, union([...(reads.get(access.buffer) ?? []), ...outside]));
    }
    for (const { buffer, start, end } of group.filter(({ write }) => write)) {
      written.set(buffer, union([...(written.get(buffer) ?? []), { start, end }]));
    }
  }
  return { reads: rangesOf(reads), writes: rangesOf(written) };
}

/** Accesses grouped by op call, in the order of the calls. */
export function groupByCall<Item extends { readonly call: number }>(
  accesses: readonly Item[],
): readonly (readonly [number, readonly Item[]])[] {
  const groups = new Map<number, Item[]>();
  for (const access of accesses) {
    const group = groups.get(access.call);
    if (group) group.push(access);
    else groups.set(access.call, [access]);
  }
  return [...groups].sort(([a], [b]) => a - b);
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/** Sorted spans without overlaps; spans that touch become one. */
function union(spans: readonly Span[]): Span[] {
  const merged: { start: number; end: number }[] = [];
  for (const { start, end } of spans.toSorted((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else if (end > start) merged.push({ start, end });
  }
  return merged;
}

/** The parts of `span` outside `holes`, which are sorted and disjoint. */
function subtract({ start, end }: Span, holes: readonly Span[]): Span[] {
  const left: Span[] = [];
  let from = start;
  for (const hole of holes) {
    if (hole.end <= from || hole.start >= end) continue;
    if (hole.start > from) left.push({ start: from, end: hole.start });
    from = hole.end;
  }
  if (from < end) left.push({ start: from, end });
  return left;
}

function rangesOf(spans: ReadonlyMap<string, readonly Span[]>): Range[] {
  return [...spans.keys()]
    .sort()
    .flatMap((buffer) =>
      spans.get(buffer)!.map(({ start, end }) => ({ buffer, offset: start, bytes: end - start })),
    );
}
