/**
 * Which bytes a task reads and writes. For a run the accesses are those of its op calls, so that a wait can stand
 * before the first call that needs it instead of before the whole procedure.
 *
 * What a procedure does to its formals is worked out once; a run only adds the places that they are bound to. Formals
 * of which one is written never share bytes, so each is looked at by itself.
 */
import { invariant } from "../../schemas/diagnostic.ts";
import { tensorBytes } from "../../schemas/ops/define-op.ts";
import { getOp, type OpName } from "../../schemas/ops/index.ts";
import type { PlanCall, PlanProcedure, Range } from "../../schemas/plan.ts";
import type { Task } from "./schedule.ts";

/** Bytes [start, end) of what they are relative to, and the call of the procedure that touches them; 0 for other tasks. */
export interface Access {
  readonly start: number;
  readonly end: number;
  readonly write: boolean;
  readonly call: number;
}

/** Takes accesses relative to byte `offset` of a buffer. Of runs of the same procedure a formal's are the same array. */
export type AccessVisitor = (buffer: string, offset: number, accesses: readonly Access[]) => void;

export interface EffectContext {
  readonly procedures: ReadonlyMap<string, PlanProcedure>;
  /** Bytes of the buffer `staging`. */
  readonly stagingBytes: number;
  /** Bytes that a gather writes. */
  readonly gatherBytes: (task: Extract<Task, { kind: "gather" }>) => number;
  /** Filled as procedures are met. */
  readonly known: Map<PlanProcedure, Footprint>;
}

/**
 * The first accesses of a task to each byte, in the order of its calls: the first call that reads it unless one before
 * wrote it, and the first call that writes it. What comes later needs nothing that these do not. Visited, not listed: a
 * step has some ten thousand of them.
 */
export function forEachAccess(task: Task, context: EffectContext, visit: AccessVisitor): void {
  const touch = (buffer: string, offset: number, bytes: number, write: boolean) =>
    visit(buffer, offset, [{ start: 0, end: bytes, write, call: 0 }]);
  switch (task.kind) {
    case "run":
      for (const { formal, accesses } of footprintOf(task.procedure, context).formals) {
        const { buffer, offset } = task.bind[formal]!;
        visit(buffer, offset, accesses);
      }
      return;
    case "read":
      for (const part of task.parts) touch(task.to, part.at, part.bytes, true);
      touch("staging", 0, context.stagingBytes, true);
      return;
    case "gather":
      touch(task.indices.buffer, task.indices.offset, task.indices.bytes, false);
      touch(task.to.buffer, task.to.offset, context.gatherBytes(task), true);
      touch("staging", 0, context.stagingBytes, true);
      return;
    case "copy":
      touch(task.from.buffer, task.from.offset, task.bytes, false);
      touch(task.to.buffer, task.to.offset, task.bytes, true);
      return;
    case "write":
      touch(task.from.buffer, task.from.offset, task.from.bytes, false);
      touch("staging", 0, context.stagingBytes, true);
  }
}

/** Calls back with every buffer that a task touches, perhaps more than once: lifetimes need no more. */
export function forEachBuffer(task: Task, visit: (buffer: string) => void): void {
  switch (task.kind) {
    case "run":
      for (const formal in task.bind) visit(task.bind[formal]!.buffer);
      return;
    case "read":
      visit(task.to);
      visit("staging");
      return;
    case "gather":
      visit(task.indices.buffer);
      visit(task.to.buffer);
      visit("staging");
      return;
    case "copy":
      visit(task.from.buffer);
      visit(task.to.buffer);
      return;
    case "write":
      visit(task.from.buffer);
      visit("staging");
  }
}

/**
 * Takes a place in a buffer that a task touches, 0 where that is all of it: parts that lie apart, such as a block's
 * adapter, are places of their own.
 */
export type UseVisitor = (buffer: string, part: number, writes: boolean) => void;

/** What a task touches beside the disk lane's staging, which only that lane knows. */
export function forEachUse(task: Task, context: EffectContext, visit: UseVisitor): void {
  switch (task.kind) {
    case "run":
      footprintOf(task.procedure, context).formals.forEach(({ formal, writes }) => {
        const { buffer, offset } = task.bind[formal]!;
        visit(buffer, offset, writes);
      });
      return;
    case "read":
      visit(task.to, 0, true);
      return;
    case "gather":
      visit(task.indices.buffer, task.indices.offset, false);
      visit(task.to.buffer, task.to.offset, true);
      return;
    case "copy": {
      const { from, to, unit } = task;
      visit(from.buffer, unit === null ? from.offset : 0, false);
      visit(to.buffer, unit === null ? to.offset : 0, true);
      return;
    }
    case "write":
      visit(task.from.buffer, task.from.offset, false);
  }
}

/**
 * What a task reads from outside and what it writes: sorted, merged ranges. A byte that one call writes and a later
 * call of the same task reads was not read from outside.
 */
export interface Effects {
  readonly reads: Range[];
  readonly writes: Range[];
}

export function effectsOf(task: Task, context: EffectContext): Effects {
  const reads: Range[] = [];
  const writes: Range[] = [];
  if (task.kind === "run") {
    const footprint = footprintOf(task.procedure, context);
    for (const range of footprint.reads) reads.push(boundTo(task.bind, range));
    for (const range of footprint.writes) writes.push(boundTo(task.bind, range));
  } else {
    forEachAccess(task, context, (buffer, offset, accesses) => {
      for (const { start, end, write } of accesses) {
        (write ? writes : reads).push({ buffer, offset: offset + start, bytes: end - start });
      }
    });
  }
  return { reads: merged(reads), writes: merged(writes) };
}

type Bind = Extract<Task, { kind: "run" }>["bind"];

/** What a procedure's calls touch, relative to its formals. */
export interface Footprint {
  /** Of each formal that is touched, in the order of calls. */
  readonly formals: readonly FormalAccesses[];
  /** Bytes that are read before any call wrote them. */
  readonly reads: readonly FormalRange[];
  readonly writes: readonly FormalRange[];
}

interface FormalAccesses {
  readonly formal: string;
  readonly accesses: readonly Access[];
  readonly writes: boolean;
}

interface FormalRange {
  readonly formal: string;
  readonly start: number;
  readonly end: number;
}

function footprintOf(id: string, { procedures, known }: EffectContext): Footprint {
  const procedure = procedures.get(id);
  invariant(procedure, `procedure ${id} does not exist`);
  const cached = known.get(procedure);
  if (cached) return cached;
  const segments = segmentsOf(procedure);
  const reads = joined(segments.filter(({ firstRead, firstWrite }) => firstRead <= firstWrite));
  const writes = joined(segments.filter(({ firstWrite }) => firstWrite < NEVER));
  const formals = [...new Set(segments.map(({ formal }) => formal))].map((formal) => {
    const accesses = accessesOf(segments.filter((segment) => segment.formal === formal));
    return { formal, accesses, writes: accesses.some(({ write }) => write) };
  });
  const footprint: Footprint = { formals, reads, writes };
  known.set(procedure, footprint);
  return footprint;
}

/** Sorted ranges of each formal, those that touch as one. */
function joined(ranges: readonly FormalRange[]): readonly FormalRange[] {
  const all: { formal: string; start: number; end: number }[] = [];
  for (const { formal, start, end } of ranges) {
    const last = all.at(-1);
    if (last?.formal === formal && last.end === start) last.end = end;
    else all.push({ formal, start, end });
  }
  return all;
}

function accessesOf(segments: readonly Segment[]): readonly Access[] {
  const accesses = segments.flatMap(({ start, end, firstRead, firstWrite }): Access[] => {
    const write = { start, end, write: true, call: firstWrite };
    if (firstRead > firstWrite) return [write];
    const read = { start, end, write: false, call: firstRead };
    return firstWrite === NEVER ? [read] : [read, write];
  });
  return accesses.sort((a, b) => a.call - b.call);
}

const NEVER = Number.POSITIVE_INFINITY;

/** Bytes of a formal that the same calls touch first. */
interface Segment extends FormalRange {
  /** `NEVER` where none does. */
  readonly firstRead: number;
  readonly firstWrite: number;
}

/** The touched bytes of all formals, cut where their first accesses change. */
function segmentsOf({ calls }: PlanProcedure): Segment[] {
  const byFormal = new Map<string, Touch[]>();
  for (const touch of calls.flatMap(touchesOf)) {
    const known = byFormal.get(touch.formal);
    if (known) known.push(touch);
    else byFormal.set(touch.formal, [touch]);
  }
  return [...byFormal].flatMap(([formal, touches]) => {
    const cuts = [...new Set(touches.flatMap(({ start, end }) => [start, end]))].sort((a, b) => a - b);
    const firstReads = cuts.map(() => NEVER);
    const firstWrites = cuts.map(() => NEVER);
    for (const { start, end, call, read, write } of touches) {
      for (let i = cuts.indexOf(start); cuts[i]! < end; i++) {
        if (read) firstReads[i] = Math.min(firstReads[i]!, call);
        if (write) firstWrites[i] = Math.min(firstWrites[i]!, call);
      }
    }
    const segments: Segment[] = [];
    for (let from = 0; from < cuts.length; ) {
      const [firstRead, firstWrite] = [firstReads[from]!, firstWrites[from]!];
      let to = from + 1;
      while (firstReads[to] === firstRead && firstWrites[to] === firstWrite) to++;
      const touched = firstRead < NEVER || firstWrite < NEVER;
      if (touched) segments.push({ formal, start: cuts[from]!, end: cuts[to]!, firstRead, firstWrite });
      from = to;
    }
    return segments;
  });
}

interface Touch extends FormalRange {
  readonly call: number;
  readonly read: boolean;
  readonly write: boolean;
}

/** Operands and workspace of one call. */
function touchesOf(call: PlanCall, index: number): Touch[] {
  const { operands } = getOp(call.op as OpName);
  const touches = Object.entries(call.operands).map(
    ([name, { formal, offset, shape, dtype, accumulate }]): Touch => {
      const { access: declared } = operands[name]!;
      const read = declared !== "write" || accumulate === true;
      const end = offset + tensorBytes(shape, dtype);
      return { formal, start: offset, end, call: index, read, write: declared !== "read" };
    },
  );
  if (!call.workspace) return touches;
  const { offset, bytes } = call.workspace;
  return [
    ...touches,
    { formal: "scratch", start: offset, end: offset + bytes, call: index, read: false, write: true },
  ];
}

function boundTo(bind: Bind, { formal, start, end }: FormalRange): Range {
  const { buffer, offset } = bind[formal]!;
  return { buffer, offset: offset + start, bytes: end - start };
}

/** Sorted by buffer and offset; ranges that touch become one, empty ones are left out. */
function merged(ranges: Range[]): Range[] {
  ranges.sort((a, b) => (a.buffer === b.buffer ? a.offset - b.offset : a.buffer < b.buffer ? -1 : 1));
  const result: Range[] = [];
  for (const { buffer, offset, bytes } of ranges) {
    const last = result.at(-1);
    if (last?.buffer === buffer && offset <= last.offset + last.bytes) {
      last.bytes = Math.max(last.bytes, offset + bytes - last.offset);
    } else if (bytes > 0) result.push({ buffer, offset, bytes });
  }
  return result;
}
