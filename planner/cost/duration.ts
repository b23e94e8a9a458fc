/**
 * How long an instruction takes on a hardware profile: links by bandwidth and latency, calls by the roofline (Williams
 * et al. 2009), the larger of operations ÷ rate and bytes ÷ bandwidth, times what calls of that op were measured to
 * fall behind it, where the profile tells.
 */
import type { HardwareProfile } from "../../schemas/hardware.ts";
import type { attention } from "../../schemas/ops/attention.ts";
import type { Instruction, PlanCall, PlanProcedure } from "../../schemas/plan.ts";
import { PAGE } from "../ir/values.ts";
import { type CallWork, callWork } from "./call-work.ts";
import { measuredSlowdown } from "./measured-calls.ts";

/** Dispatch of one call: a task hand-out to the thread pool, or the start of a kernel. */
const CALL_OVERHEAD_NS = 3000;
/** Reads that the disk lane keeps in flight; they share the latency. */
const READS_IN_FLIGHT = 4;
/** Bytes of the widest gap that is read over. */
const NEAR = 64 * 1024;
const SECOND = 1e9;
/** What an op reads that attends within segments. */
const SEGMENTS = "segment_start" satisfies keyof typeof attention.operands;

/** Of an instruction, what its time depends on. */
export type TimedWork =
  | Pick<Extract<Instruction, { kind: "run" }>, "kind" | "procedure" | "lane">
  | Pick<Extract<Instruction, { kind: "copy" }>, "kind" | "bytes" | "lane">
  | Pick<Extract<Instruction, { kind: "read" }>, "kind" | "bytes">
  | Pick<Extract<Instruction, { kind: "write" }>, "kind" | "bytes">
  | Pick<Extract<Instruction, { kind: "gather" }>, "kind" | "indices" | "bytes" | "table_rows" | "row_bytes">;

export interface CostModel {
  readonly call: (call: PlanCall, lane: "compute" | "host") => number;
  /** Nanoseconds of one run of a procedure. */
  readonly run: (procedure: string, lane: "compute" | "host") => number;
  readonly instruction: (instruction: TimedWork) => number;
}

/** Procedures are costed once. `attended`: the part of its rows that attention computes ({@link attendedShare}). */
export function costModel(
  procedures: readonly PlanProcedure[],
  hardware: HardwareProfile,
  attended: number,
): CostModel {
  const byId = new Map(procedures.map((procedure) => [procedure.id, procedure]));
  const known = { compute: new Map<string, number>(), host: new Map<string, number>() };
  const costsOn = (lane: "compute" | "host") => callCosts(hardware, lane, attended);
  const costs = { compute: costsOn("compute"), host: costsOn("host") };
  const timeOf = ({ calls }: PlanProcedure, lane: "compute" | "host"): number => {
    const work = calls.reduce((sum, call) => sum + costs[lane](call), 0);
    return lane === "compute" ? Math.max(work, submissionNs(calls.length, hardware)) : work;
  };
  const run = (id: string, lane: "compute" | "host"): number => {
    const ns = known[lane].get(id) ?? timeOf(byId.get(id)!, lane);
    known[lane].set(id, ns);
    return ns;
  };
  const call = (own: PlanCall, lane: "compute" | "host"): number => costs[lane](own);
  return { call, run, instruction: (instruction) => instructionNs(instruction, run, hardware) };
}

/** Nanoseconds for bytes over a link that never pauses. */
export function linkNs(
  link: "disk" | "h2d" | "d2h",
  bytes: number,
  { disk, links }: HardwareProfile,
): number {
  const own = link === "disk" ? undefined : link === "h2d" ? links?.h2d_bandwidth : links?.d2h_bandwidth;
  return (bytes / (own ?? disk.bandwidth)) * SECOND;
}

/**
 * Nanoseconds to fetch rows of a table. Each is a read of its own, unless the table is so small that its rows, which cost
 * a page each, pay for reading over the gaps between them (native/io/disk.cc).
 */
export function gatherNs(
  { rows, bytes, table }: { rows: number; bytes: number; table: number },
  hardware: HardwareProfile,
): number {
  const reads = table <= rows * PAGE ? Math.min(rows, Math.ceil(table / NEAR)) : rows;
  const moved = Math.min(bytes, table);
  return (reads / READS_IN_FLIGHT) * hardware.disk.latency_ns + linkNs("disk", moved, hardware);
}

function instructionNs(instruction: TimedWork, runNs: CostModel["run"], hardware: HardwareProfile): number {
  const { disk } = hardware;
  switch (instruction.kind) {
    case "read":
    case "write":
      return disk.latency_ns + linkNs("disk", instruction.bytes, hardware);
    case "gather": {
      const { indices, bytes, table_rows, row_bytes } = instruction;
      return gatherNs({ rows: indices.bytes / 4, bytes, table: table_rows * row_bytes }, hardware);
    }
    case "copy":
      return linkNs(instruction.lane, instruction.bytes, hardware);
    case "run":
      return runNs(instruction.procedure, instruction.lane);
  }
}

/** What the host takes to hand an instruction to a device: work that is shorter waits for it. */
function submissionNs(calls: number, { compute: { submission } }: HardwareProfile): number {
  return submission === undefined ? 0 : submission.instruction_ns + calls * submission.call_ns;
}

/** Nanoseconds of calls on one lane, which knows what was measured on it. */
function callCosts(
  hardware: HardwareProfile,
  lane: "compute" | "host",
  attended: number,
): (call: PlanCall) => number {
  const { compute, host } = hardware;
  const bandwidth =
    lane === "host" ? (host?.memory_bandwidth ?? compute.memory_bandwidth) : compute.memory_bandwidth;
  const roofline = (work: CallWork): number => {
    const rate = compute.matrix_rate[work.product ?? "f32"] ?? compute.matrix_rate.f32;
    const memory = (work.read + work.written) / bandwidth;
    return CALL_OVERHEAD_NS + Math.max(memory, work.flops / rate) * SECOND;
  };
  const slowdown = measuredSlowdown((lane === "compute" ? compute : host)?.calls ?? [], roofline);
  return (call) => {
    const work = callWork(call, compute.kind);
    const share = SEGMENTS in call.operands ? attended : 1;
    return share * roofline(work) * (slowdown(work) ?? 1);
  };
}
