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
  readonly known: Map<string, Footprint>;
}

/**
 * The first accesses of a task to each byte, in the order of its calls: the first call that reads it unless one before
 * wrote it, and the first call that writes it. What comes later needs nothing that these do not.
 */
export function accessesOf(task: Task, context: EffectContext): readonly Access[] {
  const staging: Access = { buffer: "staging", start: 0, end: context.stagingBytes, write: true, call: 0 };
  switch (task.kind) {
    case "run":
      return footprintOf(task.procedure, context).accesses.map(({ formal, start, end, write, call }) => {
        const { buffer, offset } = task.bind[formal]!;
        return { buffer, start: offset + start, end: offset + end, write, call };
      });
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
 * What a task reads from outside and what it writes: sorted, merged ranges. A byte that one call writes and a later
 * call of the same task reads was not read from outside.
 */
export function effectsOf(
  task: Task,
  context: EffectContext,
): { readonly reads: Range[]; readonly writes: Range[] } {
  if (task.kind === "run") {
    const { reads, writes } = footprintOf(task.procedure, context);
    return { reads: boundTo(task.bind, reads), writes: boundTo(task.bind, writes) };
  }
  const accesses = accessesOf(task, context);
  return {
    reads: merged(accesses.filter(({ write }) => !write).map(rangeOf)),
    writes: merged(accesses.filter(({ write }) => write).map(rangeOf)),
  };
}

type Bind = Extract<Task, { kind: "run" }>["bind"];

/** What a procedure's calls touch, relative to its formals. */
export interface Footprint {
  /** As `accessesOf` gives them. */
  readonly accesses: readonly FormalAccess[];
  /** Bytes that are read before any call wrote them. */
  readonly reads: readonly FormalRange[];
  readonly writes: readonly FormalRange[];
}

interface FormalRange {
  readonly formal: string;
  readonly start: number;
  readonly end: number;
}

interface FormalAccess extends FormalRange {
  readonly write: boolean;
  readonly call: number;
}

function footprintOf(id: string, { procedures, known }: EffectContext): Footprint {
  const cached = known.get(id);
  if (cached) return cached;
  const procedure = procedures.get(id);
  invariant(procedure, `procedure ${id} does not exist`);
  const segments = segmentsOf(procedure);
  const reads = segments.filter(({ firstRead, firstWrite }) => firstRead <= firstWrite);
  const writes = segments.filter(({ firstWrite }) => firstWrite < NEVER);
  const accesses = [
    ...reads.map(({ firstRead: call, ...range }) => accessAt(range, call, false)),
    ...writes.map(({ firstWrite: call, ...range }) => accessAt(range, call, true)),
  ];
  accesses.sort((a, b) => a.call - b.call);
  const footprint: Footprint = { accesses, reads, writes };
  known.set(id, footprint);
  return footprint;
}

function accessAt({ formal, start, end }: FormalRange, call: number, write: boolean): FormalAccess {
  return { formal, start, end, call, write };
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

interface Touch extends FormalAccess {
  readonly read: boolean;
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

function access(buffer: string, offset: number, bytes: number, write: boolean): Access {
  return { buffer, start: offset, end: offset + bytes, write, call: 0 };
}

function rangeOf({ buffer, start, end }: Access): Range {
  return { buffer, offset: start, bytes: end - start };
}

function boundTo(bind: Bind, ranges: readonly FormalRange[]): Range[] {
  return merged(
    ranges.map(({ formal, start, end }) => {
      const { buffer, offset } = bind[formal]!;
      return { buffer, offset: offset + start, bytes: end - start };
    }),
  );
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
