/**
 * Procedures against the op table: shapes and dtypes agree, operands lie aligned inside formals, a call writes
 * nothing that it also reads, workspaces are large enough and private, and scratch is written before it is read.
 */
import { bindDims, type CallShape, dtypeBytes, type OpDeclaration, tensorBytes } from "../ops/define-op.ts";
import { findOp } from "../ops/index.ts";
import type { PlanCall, PlanProcedure } from "../plan.ts";
import { defineCheck, type Report } from "./check.ts";
import { intersects } from "./intervals.ts";
import { callAccesses, type ProcedureSummary, scratchFormal } from "./procedure-summary.ts";

type Code =
  | "verify.call-shape"
  | "verify.call-view"
  | "verify.call-access"
  | "verify.workspace"
  | "verify.undefined-read"
  | "verify.dtype"
  | "verify.flops";

export const checkCalls = defineCheck({
  name: "calls",
  proves: "Every call is legal for its op, and every procedure keeps to its signature.",
  codes: [
    "verify.call-shape",
    "verify.call-view",
    "verify.call-access",
    "verify.workspace",
    "verify.undefined-read",
    "verify.dtype",
    "verify.flops",
  ],
  run(index, report) {
    const { plan } = index;
    plan.procedures.forEach((procedure, i) => {
      let flops = 0;
      procedure.calls.forEach((call, j) => {
        const path = `procedures[${i}].calls[${j}]`;
        const where = `${procedure.id}, call ${j} (${call.op})`;
        flops += shapes(call, plan.shape.threads, path, where, report);
        views(procedure, call, path, where, report);
        accesses(procedure, call, path, where, report);
      });
      // Not a number when a call is already refused.
      if (!Number.isNaN(flops) && flops !== procedure.flops) {
        report(
          "verify.flops",
          `procedures[${i}]`,
          `${procedure.id}: its calls are ${flops} operations, not ${procedure.flops}`,
        );
      }
      definedBeforeUse(procedure, index.summary(procedure), `procedures[${i}]`, report);
    });
  },
});

/** Checks shapes, dtypes, attributes and workspace against the op; returns the call's flops. */
function shapes(call: PlanCall, threads: number, path: string, where: string, report: Report<Code>): number {
  const op = findOp(call.op)!;
  const bound = Object.fromEntries(
    Object.entries(call.operands).map(([name, { shape, dtype, accumulate }]) => [
      name,
      { shape, dtype, accumulate: accumulate === true },
    ]),
  );
  const { dims, problems } = bindDims(op, bound);
  for (const problem of problems) report("verify.call-shape", path, `${where}: ${problem}`);
  const attributesFit = attributes(op, call, path, where, report);
  if (problems.length > 0 || !attributesFit) return Number.NaN;
  const shape: CallShape = {
    dims,
    dtypes: Object.fromEntries(Object.entries(bound).map(([name, { dtype }]) => [name, dtype])),
    attributes: Object.fromEntries(
      Object.entries(call.attributes).map(([name, value]) => [name, number(value)]),
    ),
  };
  const needed = op.scratch?.(shape, threads) ?? 0;
  if ((call.workspace?.bytes ?? 0) < needed) {
    report("verify.workspace", path, `${where}: needs a workspace of ${needed} bytes`);
  }
  return op.flops(shape);
}

function number(value: number | "inf" | "-inf"): number {
  if (typeof value === "number") return value;
  return value === "inf" ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
}

function attributes(
  op: OpDeclaration,
  call: PlanCall,
  path: string,
  where: string,
  report: Report<Code>,
): boolean {
  const wrong = (text: string) => {
    report("verify.call-shape", path, `${where}: ${text}`);
    return false;
  };
  let fit = true;
  for (const name of Object.keys(call.attributes)) {
    if (!(name in op.attributes)) fit = wrong(`no attribute \`${name}\``);
  }
  for (const [name, { type }] of Object.entries(op.attributes)) {
    const value = call.attributes[name];
    if (value === undefined) fit = wrong(`attribute \`${name}\` is missing`);
    else if (type === "i32" && (typeof value !== "number" || (value | 0) !== value)) {
      fit = wrong(`attribute \`${name}\` is not an i32`);
    }
  }
  return fit;
}

/** Operands lie aligned inside their formals; what a call writes shares no byte with its other operands. */
function views(
  procedure: PlanProcedure,
  call: PlanCall,
  path: string,
  where: string,
  report: Report<Code>,
): void {
  const sizes = new Map(procedure.formals.map(({ name, bytes }) => [name, bytes]));
  for (const [name, { formal, offset, shape, dtype }] of Object.entries(call.operands)) {
    const wrong = (text: string) => report("verify.call-view", path, `${where}: ${name} ${text}`);
    if (offset + tensorBytes(shape, dtype) > (sizes.get(formal) ?? 0)) wrong(`reaches beyond ${formal}`);
    if (offset % dtypeBytes[dtype] !== 0) wrong(`is at ${offset}, not a multiple of its dtype`);
  }
  const touched = callAccesses(call);
  touched.forEach((a, i) => {
    for (const b of touched.slice(i + 1)) {
      if (a.formal !== b.formal || !(a.writes || b.writes) || !intersects(a, b)) continue;
      const code = b.name === "workspace" ? "verify.workspace" : "verify.call-view";
      report(code, path, `${where}: ${a.name} and ${b.name} share bytes`);
    }
  });
  if (call.workspace) {
    const scratch = procedure.formals.find(
      ({ name, access }) => name === scratchFormal && access === "scratch",
    );
    if (call.workspace.offset + call.workspace.bytes > (scratch?.bytes ?? 0)) {
      report("verify.workspace", path, `${where}: the workspace reaches beyond the scratch`);
    }
  }
}

function accesses(
  procedure: PlanProcedure,
  call: PlanCall,
  path: string,
  where: string,
  report: Report<Code>,
): void {
  const access = new Map(procedure.formals.map((formal) => [formal.name, formal.access]));
  for (const { name, formal, writes } of callAccesses(call)) {
    if (writes && access.get(formal) === "read") {
      report("verify.call-access", path, `${where}: ${name} writes ${formal}, which is for reading`);
    }
  }
}

/** Scratch, and what the signature calls written, may be read only where an earlier call of the procedure wrote. */
function definedBeforeUse(
  procedure: PlanProcedure,
  { segments, torn }: ProcedureSummary,
  path: string,
  report: Report<Code>,
): void {
  const access = new Map(procedure.formals.map((formal) => [formal.name, formal.access]));
  for (const { call, operand } of torn) {
    report(
      "verify.call-view",
      `${path}.calls[${call}]`,
      `${procedure.id}: ${operand} takes a piece of a value`,
    );
  }
  for (const segment of segments) {
    const owner = access.get(segment.formal);
    if (segment.confused !== null) {
      report(
        "verify.dtype",
        `${path}.calls[${segment.confused}]`,
        `${procedure.id} reads [${segment.start}, ${segment.end}) of ${segment.formal} in another dtype than was written`,
      );
    }
    if (segment.exposed && (owner === "scratch" || owner === "write")) {
      report(
        "verify.undefined-read",
        "verify.dtype",
        `${path}.calls[${segment.firstRead}]`,
        `${procedure.id} reads [${segment.start}, ${segment.end}) of ${segment.formal} before writing it`,
      );
    }
  }
}
