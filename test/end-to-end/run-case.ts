/** Runs a parity case on the engine and hands back everything that is compared. */
import { stepInputs } from "../../data/order.ts";
import { encodeFloats } from "../../models/float-codec.ts";
import { compile } from "../../planner/compile.ts";
import type { Backend } from "../../runtime/addon.ts";
import { writeInitialState } from "../../runtime/initial-state.ts";
import { scalarsOf } from "../../runtime/scalars.ts";
import { PlanSession } from "../../runtime/session.ts";
import type { Inputs } from "../../schemas/inputs.ts";
import type { Plan } from "../../schemas/plan.ts";
import type { ParityCase } from "./case.ts";

export interface RunOptions {
  readonly steps: number;
  /** Compute threads at run time; null: the plan's. */
  readonly threads?: number;
  readonly backend?: Backend;
  readonly serialLanes?: boolean;
  readonly diskThrottle?: number | null;
}

export interface CaseRun {
  readonly losses: readonly number[];
  readonly gradNorms: readonly number[];
  /** One map of PEFT names a step, in order. */
  readonly gradients: readonly ReadonlyMap<string, Float32Array>[];
  /** After the last step. */
  readonly parameters: ReadonlyMap<string, Float32Array>;
  /** Bytes that the disk lane read in each step. */
  readonly bytesRead: readonly number[];
  readonly plan: Plan;
}

/** Compiles or throws with the diagnostics. */
export function mustCompile(inputs: Inputs): Plan {
  const { plan, diagnostics } = compile(inputs);
  if (!plan) throw new Error(diagnostics.map(({ code, summary }) => `${code}: ${summary}`).join("\n"));
  return plan;
}

export async function runCase(parity: ParityCase, inputs: Inputs, options: RunOptions): Promise<CaseRun> {
  return runPlan(parity, inputs, mustCompile(inputs), options);
}

export async function runPlan(
  parity: ParityCase,
  inputs: Inputs,
  plan: Plan,
  options: RunOptions,
): Promise<CaseRun> {
  const { threads = plan.shape.threads, backend = "cpu", serialLanes = false, diskThrottle = null } = options;
  const paths = new Map(inputs.model.files.map(({ id, path }) => [id, path]));
  const threaded = { ...plan, shape: { ...plan.shape, threads } };
  const session = await PlanSession.open(threaded, paths, { backend, serialLanes, diskThrottle });
  try {
    await writeInitialState(plan, parity.adapter.tensors, session.write.bind(session));
    await session.start();
    const losses: number[] = [];
    const gradNorms: number[] = [];
    const bytesRead: number[] = [];
    const gradients: Map<string, Float32Array>[] = [];
    for (let step = 0; step < options.steps; step++) {
      const batch = step % parity.file.batches.length;
      const rows = Uint32Array.from(
        { length: parity.rowsPerStep },
        (_, row) => batch * parity.rowsPerStep + row,
      );
      const data = stepInputs(parity.dataset, rows, parity.rowsPerStep);
      const { optimizer, learning_rate: learningRate } = plan.training;
      const scalars = scalarsOf({
        optimizer,
        learningRate,
        adamSteps: step,
        supervisedTokens: data.supervisedTokens,
      });
      const result = await session.step(data, scalars);
      losses.push(result.loss);
      gradNorms.push(result.gradNorm);
      bytesRead.push(result.stats.bytesRead);
      gradients.push(await readAll(session, plan, "gradient"));
    }
    return {
      losses,
      gradNorms,
      gradients,
      parameters: await readAll(session, plan, "value"),
      bytesRead,
      plan,
    };
  } finally {
    session.close();
  }
}

async function readAll(
  session: PlanSession,
  plan: Plan,
  what: "value" | "gradient",
): Promise<Map<string, Float32Array>> {
  const values = new Map<string, Float32Array>();
  for (const parameter of plan.parameters)
    values.set(parameter.name, await session.readParameter(parameter, what));
  return values;
}

/** ‖a − b‖ / ‖b‖. */
export function relativeError(a: Float32Array, b: Float32Array): number {
  return distance(a, b) / Math.sqrt(b.reduce((sum, x) => sum + x * x, 0));
}

/** ‖a − b‖. */
export function distance(a: Float32Array, b: Float32Array): number {
  return Math.sqrt(a.reduce((sum, x, i) => sum + (x - b[i]!) ** 2, 0));
}

/** Exact bits, so that −0 and 0 or two NaNs cannot pass for each other. */
export function bitsOf(values: ReadonlyMap<string, Float32Array>): string {
  return [...values]
    .map(([name, data]) => `${name} ${Buffer.from(encodeFloats(data, "f32")).toString("base64")}`)
    .join("\n");
}
