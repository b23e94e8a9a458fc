/**
 * A plan that runs op calls one by one, so that the engine itself times them: each call is a procedure and an
 * instruction of its own, in the order given.
 *
 * Operands lie in regions of one dtype that all calls share: what one call leaves in the caches the next one finds, as
 * in a step, and no float is ever read as another dtype. What is only read stays as it was written at the start.
 */
import type { EnginePlan } from "../../runtime/encode.ts";
import { opTableHash } from "../../schemas/op-table.ts";
import { type DType, tensorBytes } from "../../schemas/ops/define-op.ts";
import { getOp, type OpName } from "../../schemas/ops/index.ts";
import type { Instruction, Place, PlanBuffer, PlanCall, PlanProcedure } from "../../schemas/plan.ts";

const ALIGNMENT = 4096;
const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

export interface CallPlan {
  readonly plan: EnginePlan;
  /** Regions that calls only read. */
  readonly sources: readonly { readonly buffer: string; readonly bytes: number; readonly dtype: DType }[];
}

export function callPlan(calls: readonly PlanCall[], threads: number): CallPlan {
  const regions = new Regions();
  const procedures: PlanProcedure[] = [];
  const binds: Record<string, Place>[] = [];
  calls.forEach((call, index) => {
    regions.restart();
    const bind: Record<string, Place> = {};
    const formals: PlanProcedure["formals"] = [];
    const operands: PlanCall["operands"] = {};
    for (const [name, operand] of Object.entries(call.operands)) {
      const declared = getOp(call.op as OpName).operands[name]!.access;
      const access = operand.accumulate ? "update" : declared;
      const bytes = tensorBytes(operand.shape, operand.dtype);
      formals.push({ name, bytes, access });
      operands[name] = { ...operand, formal: name, offset: 0 };
      bind[name] = regions.take(access === "read" ? "read" : "written", operand.dtype, bytes);
    }
    if (call.workspace !== null) {
      formals.push({ name: "scratch", bytes: call.workspace.bytes, access: "scratch" });
      bind.scratch = regions.take("scratch", "f32", call.workspace.bytes);
    }
    const workspace = call.workspace && { ...call.workspace, offset: 0 };
    procedures.push({ id: `call/${index}`, formals, calls: [{ ...call, operands, workspace }], flops: 0 });
    binds.push(bind);
  });
  const steady = procedures.map(({ id }, index): Instruction => {
    return {
      kind: "run",
      lane: "compute",
      id,
      waits: [],
      reads: [],
      writes: [],
      bytes: 0,
      procedure: id,
      bind: binds[index]!,
      unit: null,
    };
  });
  const { buffers, end } = regions.layOut();
  const none = { prologue: [], steady: [], epilogue: [] };
  return {
    plan: {
      op_table: opTableHash(),
      shape: { threads, compute_arena: "ram" },
      budgets: { ram: { arena: end }, vram: null },
      inputs: { files: [] },
      tensors: [],
      buffers,
      constants: [],
      step_inputs: [],
      procedures,
      sinks: [],
      programs: { "train-step": { ...none, steady }, evaluate: none, checkpoint: none },
    },
    sources: regions.sources(),
  };
}

type Use = "read" | "written" | "scratch";

/** Regions by use and dtype, each as large as the call that needs most of it. */
class Regions {
  readonly #most = new Map<string, { readonly use: Use; readonly dtype: DType; bytes: number }>();
  readonly #taken = new Map<string, number>();

  restart(): void {
    this.#taken.clear();
  }

  take(use: Use, dtype: DType, bytes: number): Place {
    const buffer = `${use}/${dtype}`;
    const offset = this.#taken.get(buffer) ?? 0;
    this.#taken.set(buffer, offset + aligned(bytes));
    const region = this.#most.get(buffer) ?? { use, dtype, bytes: 0 };
    this.#most.set(buffer, { ...region, bytes: Math.max(region.bytes, offset + aligned(bytes)) });
    return { buffer, offset };
  }

  layOut(): { readonly buffers: PlanBuffer[]; readonly end: number } {
    let end = 0;
    const buffers = [...this.#most].map(([id, { use, bytes }]): PlanBuffer => {
      const offset = end;
      end += bytes;
      const holds = use === "scratch" ? "scratch" : "activation";
      return { id, arena: "ram", offset, bytes, alignment: ALIGNMENT, holds, lifetime: null };
    });
    return { buffers, end };
  }

  sources(): CallPlan["sources"] {
    return [...this.#most]
      .filter(([, { use }]) => use === "read")
      .map(([buffer, { bytes, dtype }]) => ({ buffer, bytes, dtype }));
  }
}
