/** What a run takes from the machine: the bytes it reads, and memory that does not grow while its losses are PEFT's. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { stepInputs } from "../../data/order.ts";
import { smallestMemory } from "../../planner/smallest-memory.ts";
import { writeInitialState } from "../../runtime/initial-state.ts";
import { residentBytes } from "../../runtime/memory.ts";
import { scalarsOf } from "../../runtime/scalars.ts";
import { PlanSession } from "../../runtime/session.ts";
import type { Plan } from "../../schemas/plan.ts";
import { caseInputs, type ParityCase, readCase } from "./case.ts";
import { mustCompile } from "./run-case.ts";

/** Bytes that this process has asked read() for, from files or the page cache. */
function bytesAskedFor(): number {
  return Number(/^rchar: (\d+)/m.exec(readFileSync("/proc/self/io", "utf8"))![1]);
}

async function smallestPlan(parity: ParityCase): Promise<{ plan: Plan; paths: Map<string, string> }> {
  const ram = smallestMemory(await caseInputs(parity, { microBatch: 1 })).ram!.total;
  const inputs = await caseInputs(parity, { ram, microBatch: 1, steps: 300 });
  return { plan: mustCompile(inputs), paths: new Map(inputs.model.files.map(({ id, path }) => [id, path])) };
}

/** Runs `steps` steps of a streaming plan; `each` is called after every one. */
async function soak(
  name: string,
  steps: number,
  each: (step: number, loss: number, read: number) => void,
): Promise<Plan> {
  const parity = await readCase(name);
  const { plan, paths } = await smallestPlan(parity);
  const session = await PlanSession.open(plan, paths, {
    backend: "cpu",
    serialLanes: false,
    diskThrottle: null,
  });
  try {
    await writeInitialState(plan, parity.adapter.tensors, session.write.bind(session));
    await session.start();
    for (let step = 0; step < steps; step++) {
      const first = (step % parity.file.batches.length) * parity.rowsPerStep;
      const rows = Uint32Array.from({ length: parity.rowsPerStep }, (_, row) => first + row);
      const data = stepInputs(parity.dataset, rows, parity.rowsPerStep);
      const { optimizer, learning_rate: learningRate } = plan.training;
      const scalars = scalarsOf({
        optimizer,
        learningRate,
        adamSteps: step,
        supervisedTokens: data.supervisedTokens,
      });
      const { loss, stats } = await session.step(data, scalars);
      each(step, loss, stats.bytesRead);
    }
  } finally {
    session.close();
  }
  return plan;
}

it("reads from disk what the plan says, as the system counts it", async () => {
  const SLACK = 64 * 1024;
  let asked = 0;
  let counted = 0;
  let before = 0;
  const steps = 8;
  const plan = await soak("base", steps, (step, _, read) => {
    if (step === 0) before = bytesAskedFor();
    else counted += read;
    asked = bytesAskedFor() - before;
  });
  const planned = plan.bounds.find(({ program, link }) => program === "train-step" && link === "disk")!.moved;
  console.log(
    `planned ${planned} bytes a step, engine counts ${counted / (steps - 1)}, system ${asked / (steps - 1)}`,
  );
  expect(counted).toBeGreaterThan(0);
  expect(Math.abs(asked - counted)).toBeLessThan(SLACK);
  // Direct reads fetch whole pages: at most one more on either side of each segment.
  const segments = plan.programs["train-step"].steady.reduce(
    (sum, one) => sum + (one.kind === "read" ? one.segments.length : 0),
    0,
  );
  expect(counted / (steps - 1)).toBeLessThanOrEqual(planned + segments * 2 * 4096);
});

/**
 * Of every loss in the curve. float32 rounding moves the reference's own curve by less than a tenth of that (the
 * generator asserts it against float64), and a learning rate that is off by a thousandth moves it by more.
 */
const CURVE_TOLERANCE = 1e-5;

it("keeps its memory flat over 300 steps, and every loss on PEFT's curve", async () => {
  const { expected } = await readCase("curve");
  const curve = expected.get("curve")!;
  expect(curve).toHaveLength(300);
  const losses: number[] = [];
  const memory: number[] = [];
  await soak("curve", curve.length, (_, loss) => {
    losses.push(loss);
    memory.push(residentBytes()!);
  });
  const off = losses.map((loss, step) => Math.abs(loss - curve[step]!) / curve[step]!);
  const worst = off.indexOf(Math.max(...off));
  expect(off[worst], `step ${worst + 1}`).toBeLessThan(CURVE_TOLERANCE);
  const early = Math.max(...memory.slice(50, 150));
  const late = Math.max(...memory.slice(200));
  expect(late - early).toBeLessThan(16 * 2 ** 20);
});
