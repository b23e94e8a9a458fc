/**
 * A plan that runs the calls of another plan's step one by one, so that the engine itself times them: each call is an
 * instruction of its own, with its operands where the step has them.
 *
 * Of runs that make the same calls the first is taken, in the order of the step. The whole arena stands in memory several times,
 * and each run is done in all of them before the next one: as in a step of many layers, a call finds in the caches what
 * the call before it has left there, and a procedure finds nothing there.
 */
import type { EnginePlan } from "../../runtime/encode.ts";
import { type DType, tensorBytes } from "../../schemas/ops/define-op.ts";
import { getOp, type OpName } from "../../schemas/ops/index.ts";
import type { Instruction, Place, Plan, PlanCall, PlanOperand } from "../../schemas/plan.ts";
import { holdBack } from "./hold-back.ts";
import { signatureOf } from "./step-calls.ts";

export interface CallPlan {
  readonly plan: EnginePlan;
  /** The call of every run. */
  readonly calls: readonly PlanCall[];
  /** What calls read. */
  readonly sources: readonly { readonly at: Place; readonly bytes: number; readonly dtype: DType }[];
}

type RunInstruction = Extract<Instruction, { kind: "run" }>;

export interface CallPlanOptions {
  readonly threads: number;
  /** Bytes that the copies of the arena take at least. */
  readonly footprint: number;
  /** Whose runs are taken; they run on the compute lane, which has all threads, as the host has beside a device. */
  readonly lane: "compute" | "host";
  /** Where the copies stand; the backend computes there. */
  readonly target: "ram" | "vram";
}

export function callPlan(step: Plan, { threads, footprint, lane, target }: CallPlanOptions): CallPlan {
  const arena = lane === "host" ? "ram" : step.shape.compute_arena;
  const arenaBytes = step.budgets[arena]!.arena;
  const copies = Array.from({ length: Math.max(1, Math.ceil(footprint / arenaBytes)) }, (_, copy) => copy);
  const procedures = new Map(step.procedures.map((procedure) => [procedure.id, procedure]));
  const runs = firstRuns(step, lane);
  const timed = runs.flatMap((run) =>
    copies.flatMap((copy) => {
      const bind = bindIn(copy, run.bind);
      return procedures.get(run.procedure)!.calls.map((call, index) => {
        return { call, bind, procedure: `${run.procedure}/${index}`, id: `${run.id}/${index}/${copy}` };
      });
    }),
  );
  const none = { prologue: [], steady: [], epilogue: [] };
  const steady = timed.map(({ id, procedure, bind }): Instruction => {
    const moves = { waits: [], reads: [], writes: [], bytes: 0 };
    return { ...moves, kind: "run", lane: "compute", id, procedure, bind, unit: null };
  });
  const size = copies.length * arenaBytes;
  const common = {
    op_table: step.op_table,
    shape: { threads, compute_arena: target },
    inputs: { files: [] },
    tensors: [],
    buffers: copies.flatMap((copy) =>
      step.buffers
        .filter((buffer) => buffer.arena === arena)
        .map((buffer) => ({
          ...buffer,
          id: nameIn(copy, buffer.id),
          arena: target,
          offset: copy * arenaBytes + buffer.offset,
        })),
    ),
    constants: [],
    step_inputs: [],
    procedures: runs.flatMap((run) => {
      const { calls, ...procedure } = procedures.get(run.procedure)!;
      return calls.map((call, index) => ({ ...procedure, id: `${run.procedure}/${index}`, calls: [call] }));
    }),
    sinks: [],
    programs: { "train-step": { ...none, steady }, evaluate: none, checkpoint: none },
  };
  return {
    plan:
      target === "ram"
        ? { ...common, budgets: { ram: { arena: size }, vram: null } }
        : holdBack({ ...common, budgets: { ram: { arena: 0 }, vram: { arena: size } } }, steady),
    calls: timed.map(({ call }) => call),
    sources: distinct(
      timed.flatMap(({ call, bind }) =>
        Object.entries(call.operands)
          .filter(([name, operand]) => isRead(call, name, operand))
          .map(([, { formal, offset, shape, dtype }]) => {
            const { buffer, offset: base } = bind[formal]!;
            return { at: { buffer, offset: base + offset }, bytes: tensorBytes(shape, dtype), dtype };
          }),
      ),
    ),
  };
}

/** What several calls read stands there once. */
function distinct(sources: CallPlan["sources"]): CallPlan["sources"] {
  return [...new Map(sources.map((source) => [JSON.stringify(source), source])).values()];
}

/** Of all runs of the lane in a training step that make the same calls, the first. */
function firstRuns({ programs, procedures }: Plan, lane: RunInstruction["lane"]): readonly RunInstruction[] {
  const callsOf = new Map(procedures.map(({ id, calls }) => [id, calls.map(signatureOf).join("; ")]));
  const first = new Map<string, RunInstruction>();
  for (const instruction of programs["train-step"].steady) {
    if (instruction.kind !== "run" || instruction.lane !== lane) continue;
    const calls = callsOf.get(instruction.procedure)!;
    if (!first.has(calls)) first.set(calls, instruction);
  }
  return [...first.values()];
}

const nameIn = (copy: number, buffer: string): string => `${copy}/${buffer}`;

function bindIn(copy: number, bind: RunInstruction["bind"]): RunInstruction["bind"] {
  return Object.fromEntries(
    Object.entries(bind).map(([formal, { buffer, offset }]) => [
      formal,
      { buffer: nameIn(copy, buffer), offset },
    ]),
  );
}

function isRead({ op }: PlanCall, name: string, { accumulate }: PlanOperand): boolean {
  return accumulate === true || getOp(op as OpName).operands[name]!.access !== "write";
}
