/**
 * Turns a list of graph calls into a plan procedure: every value gets a place in a formal buffer, temporaries share
 * the formal `scratch` by lifetime, and each call that needs a workspace gets one there.
 *
 * Formals of a block: `weights`, `adapter` and `gradient` (regions with one place per local name), `saved` (forward
 * temporaries kept for the backward), `squares` (one sum per parameter), `scratch`, and one formal per graph input, by
 * its name.
 */
import { invariant } from "../../schemas/diagnostic.ts";
import { concreteShape, flattenTo, type GraphCall, type GraphValue, storageOf } from "../../schemas/graph.ts";
import { bindDims, type CallShape, tensorBytes } from "../../schemas/ops/define-op.ts";
import { getOp } from "../../schemas/ops/index.ts";
import type { PlanCall, PlanOperand, PlanProcedure } from "../../schemas/plan.ts";
import { alignUp } from "../../schemas/units.ts";
import { pack } from "../layout/pack.ts";

/** Every buffer and every temporary starts at a multiple of a cache line, so that vector loads never straddle two. */
export const ALIGNMENT = 64;

/** Where the named values of a region formal stand, e.g. the weights inside a slot. */
export interface RegionLayout {
  readonly bytes: number;
  readonly offsets: ReadonlyMap<string, number>;
  /** The bytes that hold something, without what alignment leaves between them. */
  readonly filled: readonly { readonly from: number; readonly to: number }[];
}

export interface ProcedureSource {
  readonly id: string;
  readonly values: Readonly<Record<string, GraphValue>>;
  readonly calls: readonly GraphCall[];
  readonly batch: number;
  readonly threads: number;
  readonly weights?: RegionLayout;
  readonly adapter?: RegionLayout;
  readonly gradient?: RegionLayout;
  readonly saved?: RegionLayout;
  readonly squares?: RegionLayout;
}

type Formal = PlanProcedure["formals"][number];

export function buildProcedure(source: ProcedureSource): PlanProcedure {
  const shapes = source.calls.map((call) => callShape(source, call));
  const scratch = layoutScratch(source, shapes);
  const calls = source.calls.map((call, index): PlanCall => {
    const operands: Record<string, PlanOperand> = {};
    for (const [name, bound] of Object.entries(call.operands)) {
      const shape = operandShape(source, call, name);
      const { formal, offset } = placeOf(source, scratch, bound.value);
      const { dtype } = source.values[bound.value]!;
      operands[name] = {
        formal,
        offset,
        shape: [...shape],
        dtype,
        ...(bound.accumulate && { accumulate: true }),
      };
    }
    const workspace = scratch.workspaces[index] ?? null;
    return { op: call.op, operands, attributes: mapAttributes(call.attributes), workspace };
  });
  const flops = source.calls.reduce((sum, { op }, index) => sum + getOp(op).flops(shapes[index]!), 0);
  return { id: source.id, formals: formalsOf(source, calls, scratch.bytes), calls, flops: Math.round(flops) };
}

/** Dense region of named values, each aligned to `alignment`. */
export function layoutRegion(
  values: readonly { readonly name: string; readonly bytes: number }[],
  alignment: number,
): RegionLayout {
  const offsets = new Map<string, number>();
  const filled: { from: number; to: number }[] = [];
  let end = 0;
  for (const { name, bytes } of values) {
    const offset = alignUp(end, alignment);
    offsets.set(name, offset);
    const last = filled.at(-1);
    if (last?.to === offset) last.to += bytes;
    else filled.push({ from: offset, to: offset + bytes });
    end = offset + bytes;
  }
  return { bytes: end, offsets, filled };
}

/** Bytes of a value for a micro-batch. */
export function valueBytes(value: GraphValue, batch: number): number {
  return tensorBytes(concreteShape(value.shape, batch), value.dtype);
}

/** Forward temporaries that backward calls read directly: what `saved` has to hold when nothing is recomputed. */
export function savedValues(
  values: Readonly<Record<string, GraphValue>>,
  forward: readonly GraphCall[],
  backward: readonly GraphCall[],
): readonly GraphValue[] {
  const written = new Set<string>();
  for (const call of forward) {
    for (const [name, { value }] of Object.entries(call.operands)) {
      if (getOp(call.op).operands[name]!.access !== "read") written.add(storageOf({ values }, value).name);
    }
  }
  const saved = new Map<string, GraphValue>();
  for (const call of backward) {
    for (const [name, { value }] of Object.entries(call.operands)) {
      const storage = storageOf({ values }, value);
      const reads = getOp(call.op).operands[name]!.access === "read";
      if (reads && storage.origin.kind === "temporary" && written.has(storage.name))
        saved.set(storage.name, storage);
    }
  }
  return [...saved.values()];
}

interface Scratch {
  readonly offsets: ReadonlyMap<string, number>;
  readonly workspaces: readonly ({ offset: number; bytes: number } | null)[];
  readonly bytes: number;
}

function layoutScratch(source: ProcedureSource, shapes: readonly CallShape[]): Scratch {
  const spans = new Map<string, { start: number; end: number; bytes: number }>();
  const workspaces: { index: number; bytes: number }[] = [];
  source.calls.forEach((call, index) => {
    for (const { value } of Object.values(call.operands)) {
      const storage = storageOf(source, value);
      if (storage.origin.kind !== "temporary" || source.saved?.offsets.has(storage.name)) continue;
      const span = spans.get(storage.name);
      if (span) span.end = index + 1;
      else
        spans.set(storage.name, { start: index, end: index + 1, bytes: valueBytes(storage, source.batch) });
    }
    const bytes = Math.ceil(getOp(call.op).scratch?.(shapes[index]!, source.threads) ?? 0);
    if (bytes > 0) workspaces.push({ index, bytes });
  });
  const names = [...spans.keys()];
  const { offsets, height } = pack([
    ...names.map((name) => ({ ...spans.get(name)!, alignment: ALIGNMENT })),
    ...workspaces.map(({ index, bytes }) => ({ start: index, end: index + 1, bytes, alignment: ALIGNMENT })),
  ]);
  const placed = source.calls.map((_, index) => {
    const at = workspaces.findIndex((workspace) => workspace.index === index);
    return at < 0 ? null : { offset: offsets[names.length + at]!, bytes: workspaces[at]!.bytes };
  });
  return { offsets: new Map(names.map((name, i) => [name, offsets[i]!])), workspaces: placed, bytes: height };
}

function placeOf(
  source: ProcedureSource,
  scratch: Scratch,
  name: string,
): { formal: string; offset: number } {
  const value = storageOf(source, name);
  const inside = (formal: "weights" | "adapter" | "gradient" | "saved" | "squares", key: string) => {
    const offset = source[formal]?.offsets.get(key);
    invariant(offset !== undefined, `${source.id}: ${key} has no place in ${formal}`);
    return { formal, offset };
  };
  switch (value.origin.kind) {
    case "input":
      return { formal: value.name, offset: 0 };
    case "weight":
      return inside("weights", value.name);
    case "parameter":
      return inside("adapter", value.name);
    case "gradient":
      return inside("gradient", value.name.slice("d/".length));
    case "square":
      return inside("squares", value.name);
    case "temporary":
      if (source.saved?.offsets.has(value.name)) return inside("saved", value.name);
      return { formal: "scratch", offset: scratch.offsets.get(value.name)! };
    case "view":
      throw new Error("bug in lema: a view has no storage of its own");
  }
}

function formalsOf(source: ProcedureSource, calls: readonly PlanCall[], scratchBytes: number): Formal[] {
  const modes = new Map<string, { read: boolean; write: boolean; bytes: number }>();
  for (const call of calls) {
    for (const [name, { formal, offset, shape, dtype, accumulate }] of Object.entries(call.operands)) {
      const access = getOp(call.op as Parameters<typeof getOp>[0]).operands[name]!.access;
      const mode = modes.get(formal) ?? { read: false, write: false, bytes: 0 };
      // A formal that is written and then read inside counts as written: its first access decides.
      const touchedBefore = mode.write;
      if ((access !== "write" || accumulate) && !touchedBefore) mode.read = true;
      if (access !== "read") mode.write = true;
      mode.bytes = Math.max(mode.bytes, offset + tensorBytes(shape, dtype));
      modes.set(formal, mode);
    }
  }
  modes.delete("scratch");
  const fixed: Record<string, number | undefined> = {
    weights: source.weights?.bytes,
    adapter: source.adapter?.bytes,
    gradient: source.gradient?.bytes,
    saved: source.saved?.bytes,
    squares: source.squares?.bytes,
  };
  const formals = [...modes].map(([name, { read, write, bytes }]): Formal => {
    return { name, bytes: fixed[name] ?? bytes, access: read ? (write ? "update" : "read") : "write" };
  });
  formals.sort((a, b) => (a.name < b.name ? -1 : 1));
  if (scratchBytes > 0) formals.push({ name: "scratch", bytes: scratchBytes, access: "scratch" });
  return formals;
}

function operandShape(source: ProcedureSource, call: GraphCall, operand: string): readonly number[] {
  const value = source.values[call.operands[operand]!.value]!;
  return flattenTo(concreteShape(value.shape, source.batch), getOp(call.op).operands[operand]!.shape.length);
}

function callShape(source: ProcedureSource, call: GraphCall): CallShape {
  const bound = Object.fromEntries(
    Object.entries(call.operands).map(([name, { value, accumulate }]) => {
      const { dtype } = source.values[value]!;
      return [name, { shape: operandShape(source, call, name), dtype, accumulate }];
    }),
  );
  const { dims, problems } = bindDims(getOp(call.op), bound);
  invariant(problems.length === 0, `${source.id}: ${problems.join("; ")}`);
  const dtypes = Object.fromEntries(Object.entries(bound).map(([name, { dtype }]) => [name, dtype]));
  return { dims, dtypes, attributes: call.attributes };
}

function mapAttributes(attributes: Readonly<Record<string, number>>): PlanCall["attributes"] {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => {
      if (value === Number.POSITIVE_INFINITY) return [name, "inf" as const];
      return [name, value === Number.NEGATIVE_INFINITY ? ("-inf" as const) : value];
    }),
  );
}
