/**
 * How long an instruction takes on a hardware profile: links by bandwidth and latency, calls by the roofline (Williams
 * et al. 2009): the larger of operations ÷ rate and bytes ÷ bandwidth.
 */
import type { HardwareProfile } from "../../schemas/hardware.ts";
import { callTraffic, type OpDeclaration } from "../../schemas/ops/define-op.ts";
import { getOp, type OpName } from "../../schemas/ops/index.ts";
import type { Instruction, PlanCall, PlanProcedure } from "../../schemas/plan.ts";

/** Dispatch of one call: a task hand-out to the thread pool. */
const CALL_OVERHEAD_NS = 3000;
/** Reads that the disk lane keeps in flight; they share the latency. */
const READS_IN_FLIGHT = 4;
const SECOND = 1e9;

export interface CostModel {
  /** Nanoseconds of one run of a procedure. */
  readonly run: (procedure: string, lane: "compute" | "host") => number;
  readonly instruction: (instruction: Instruction) => number;
}

/** Procedures are costed once. */
export function costModel(procedures: readonly PlanProcedure[], hardware: HardwareProfile): CostModel {
  const byId = new Map(procedures.map((procedure) => [procedure.id, procedure]));
  const known = new Map<string, number>();
  const run = (id: string, lane: "compute" | "host"): number => {
    const key = `${lane} ${id}`;
    const ns =
      known.get(key) ?? byId.get(id)!.calls.reduce((sum, call) => sum + callNs(call, lane, hardware), 0);
    known.set(key, ns);
    return ns;
  };
  return { run, instruction: (instruction) => instructionNs(instruction, run, hardware) };
}

/** Nanoseconds for bytes over a link that never pauses. */
export function linkNs(
  link: "disk" | "h2d" | "d2h",
  bytes: number,
  { disk, links }: HardwareProfile,
): number {
  const own = { disk: disk.bandwidth, h2d: links?.h2d_bandwidth, d2h: links?.d2h_bandwidth }[link];
  return (bytes / (own ?? disk.bandwidth)) * SECOND;
}

/** Nanoseconds to fetch rows of a table: each is a read of its own. */
export function gatherNs(rows: number, bytes: number, hardware: HardwareProfile): number {
  return (rows / READS_IN_FLIGHT) * hardware.disk.latency_ns + linkNs("disk", bytes, hardware);
}

function instructionNs(instruction: Instruction, runNs: CostModel["run"], hardware: HardwareProfile): number {
  const { disk } = hardware;
  switch (instruction.kind) {
    case "read":
    case "write":
      return disk.latency_ns + linkNs("disk", instruction.bytes, hardware);
    case "gather":
      return gatherNs(instruction.indices.bytes / 4, instruction.bytes, hardware);
    case "copy":
      return linkNs(instruction.lane, instruction.bytes, hardware);
    case "run":
      return runNs(instruction.procedure, instruction.lane);
  }
}

function callNs(call: PlanCall, lane: "compute" | "host", { compute, host }: HardwareProfile): number {
  const op = getOp(call.op as OpName);
  const operands = Object.fromEntries(
    Object.entries(call.operands).map(([name, { shape, dtype, accumulate }]) => {
      return [name, { shape, dtype, accumulate: accumulate ?? false }];
    }),
  );
  const bandwidth =
    lane === "host" ? (host?.memory_bandwidth ?? compute.memory_bandwidth) : compute.memory_bandwidth;
  const memory = (callTraffic(op, operands) / bandwidth) * SECOND;
  return CALL_OVERHEAD_NS + Math.max(memory, (flopsOf(op, call) / rateOf(op, call, compute)) * SECOND);
}

/** Operations of one call, from its concrete shapes. */
function flopsOf(op: OpDeclaration, call: PlanCall): number {
  const dims: Record<string, number> = {};
  const dtypes: Record<string, PlanCall["operands"][string]["dtype"]> = {};
  for (const [name, operand] of Object.entries(call.operands)) {
    dtypes[name] = operand.dtype;
    op.operands[name]!.shape.forEach((dim, axis) => {
      if (typeof dim === "string" && !dim.includes("*")) dims[dim] = operand.shape[axis]!;
    });
  }
  return op.flops({ dims, dtypes, attributes: call.attributes as Record<string, number> });
}

/** A device multiplies in the dtype of the narrower factor; a CPU widens f16 files to f32. */
function rateOf(
  op: OpDeclaration,
  call: PlanCall,
  { kind, matrix_rate }: HardwareProfile["compute"],
): number {
  if (op.productOperand === undefined) return matrix_rate.f32;
  const factors = Object.values(call.operands).map(({ dtype }) => dtype);
  if (kind === "cuda" && factors.includes("f16")) return matrix_rate.f16 ?? matrix_rate.f32;
  return (
    (call.operands[op.productOperand]!.dtype === "bf16" ? matrix_rate.bf16 : undefined) ?? matrix_rate.f32
  );
}
