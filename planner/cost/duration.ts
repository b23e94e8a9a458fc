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

/** A function from instruction to nanoseconds; procedures are costed once. */
export function costModel(
  procedures: readonly PlanProcedure[],
  hardware: HardwareProfile,
): (instruction: Instruction) => number {
  const byId = new Map(procedures.map((procedure) => [procedure.id, procedure]));
  const known = new Map<string, number>();
  const procedureNs = (id: string, lane: "compute" | "host"): number => {
    const key = `${lane} ${id}`;
    const ns =
      known.get(key) ?? byId.get(id)!.calls.reduce((sum, call) => sum + callNs(call, lane, hardware), 0);
    known.set(key, ns);
    return ns;
  };
  return (instruction) => instructionNs(instruction, procedureNs, hardware);
}

function instructionNs(
  instruction: Instruction,
  procedureNs: (id: string, lane: "compute" | "host") => number,
  hardware: HardwareProfile,
): number {
  const { disk, links } = hardware;
  switch (instruction.kind) {
    case "read":
    case "write":
      return disk.latency_ns + (instruction.bytes / disk.bandwidth) * SECOND;
    case "gather": {
      const rows = instruction.indices.bytes / 4;
      return (rows / READS_IN_FLIGHT) * disk.latency_ns + (instruction.bytes / disk.bandwidth) * SECOND;
    }
    case "copy": {
      const rate =
        (instruction.lane === "h2d" ? links?.h2d_bandwidth : links?.d2h_bandwidth) ?? disk.bandwidth;
      return (instruction.bytes / rate) * SECOND;
    }
    case "run":
      return procedureNs(instruction.procedure, instruction.lane);
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

function rateOf(op: OpDeclaration, call: PlanCall, { matrix_rate }: HardwareProfile["compute"]): number {
  const dtype = op.productOperand === undefined ? "f32" : call.operands[op.productOperand]!.dtype;
  return (dtype === "bf16" ? matrix_rate.bf16 : undefined) ?? matrix_rate.f32;
}
