/**
 * What the host takes to hand work to a device: from calls that have next to nothing to do, alone and many in an
 * instruction. With `one` and `many` as the times from one instruction's start to the next, the instruction's own share
 * is (calls · one − many) / (calls − 1), and a call's (many − one) / (calls − 1).
 */
import { type DeviceBackend, openEngine } from "../../runtime/addon.ts";
import type { EnginePlan } from "../../runtime/encode.ts";
import type { HardwareProfile } from "../../schemas/hardware.ts";
import { opTableHash } from "../../schemas/op-table.ts";
import type { Instruction, PlanCall, PlanProcedure } from "../../schemas/plan.ts";

type Submission = NonNullable<HardwareProfile["compute"]["submission"]>;

const ELEMENTS = 256;
const BYTES = 4 * ELEMENTS;
const CALLS = 32;
const INSTRUCTIONS = 256;

export async function measureSubmission(backend: DeviceBackend): Promise<Submission> {
  const engine = openEngine({ backend, serialLanes: false, diskThrottle: null });
  try {
    await engine.load(submissionPlan(), new Map());
    const period = async (program: "train-step" | "evaluate"): Promise<number> => {
      await engine.run({ program, part: "steady" });
      await engine.run({ program, part: "steady" });
      const spans = engine.trace();
      return (spans.at(-1)!.start - spans[0]!.start) / (spans.length - 1);
    };
    return sharesOf({ one: await period("train-step"), many: await period("evaluate"), calls: CALLS });
  } finally {
    engine.close();
  }
}

/** Whole nanoseconds, none below 0: `one` and `many` are measured. */
export function sharesOf({ one, many, calls }: { one: number; many: number; calls: number }): Submission {
  const whole = (ns: number): number => Math.max(0, Math.round(ns));
  return {
    call_ns: whole((many - one) / (calls - 1)),
    instruction_ns: whole((calls * one - many) / (calls - 1)),
  };
}

function submissionPlan(): EnginePlan {
  const part = (procedure: string) => ({
    prologue: [],
    steady: Array.from({ length: INSTRUCTIONS }, (_, index): Instruction => {
      const moves = { waits: [], reads: [], writes: [], bytes: 0 };
      const bind = { values: { buffer: "values", offset: 0 } };
      const id = `${procedure}/${index}`;
      return { ...moves, kind: "run", lane: "compute", id, procedure, bind, unit: null };
    }),
    epilogue: [],
  });
  const arena = 3 * BYTES;
  return {
    op_table: opTableHash(),
    shape: { threads: 1, compute_arena: "vram" },
    budgets: { ram: { arena: 0 }, vram: { arena } },
    inputs: { files: [] },
    tensors: [],
    buffers: [
      {
        id: "values",
        arena: "vram",
        offset: 0,
        bytes: arena,
        alignment: 4096,
        holds: "activation",
        lifetime: null,
      },
    ],
    constants: [],
    step_inputs: [],
    procedures: [procedure("one", 1), procedure("many", CALLS)],
    sinks: [],
    programs: { "train-step": part("one"), evaluate: part("many") },
  };
}

function procedure(id: string, count: number): PlanProcedure {
  const operand = (index: number) => {
    return { formal: "values", offset: index * BYTES, shape: [ELEMENTS], dtype: "f32" as const };
  };
  const call: PlanCall = {
    op: "add",
    operands: { a: operand(0), b: operand(1), y: operand(2) },
    attributes: {},
    workspace: null,
  };
  return {
    id,
    formals: [{ name: "values", bytes: 3 * BYTES, access: "update" }],
    calls: Array.from({ length: count }, () => call),
    flops: count * ELEMENTS,
  };
}
