/** The loop with an engine that only counts: what is done when, and what is never done. */
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { StepInputs } from "../../data/order.ts";
import type { BatchSource } from "../../runtime/batches.ts";
import { findCheckpoint } from "../../runtime/checkpoint.ts";
import { PeakMemory } from "../../runtime/memory.ts";
import { readMetrics } from "../../runtime/metrics.ts";
import { RunOutput } from "../../runtime/run-output.ts";
import type { StepScalars } from "../../runtime/scalars.ts";
import type { StepResult } from "../../runtime/session.ts";
import { Training, type TrainingParts, type TrainingSession } from "../../runtime/training.ts";
import { TrainingState } from "../../runtime/training-state.ts";
import type { Plan } from "../../schemas/plan.ts";
import { codesOf, diagnosticsOf, scratch, toyPlan } from "./helpers.ts";

const SMOOTH = { type: "constant", warmup_steps: 0 } as const;
const base = { steps: 6, steps_per_epoch: 4, checkpoint_every: null, evaluate_every: null, schedule: SMOOTH };
const stats = { bytesRead: 5, bytesWritten: 0, nanoseconds: 1, tensorsVerified: 0 };

const ADAPTER = `sha256:${"0".repeat(64)}`;

const rows = (supervisedTokens: number): StepInputs => {
  const none = new Int32Array();
  return { tokens: none, labels: none, positions: none, segmentStart: none, supervisedTokens };
};

interface Bench {
  readonly parts: TrainingParts;
  readonly directory: string;
  /** Scalars of each step. */
  readonly steps: StepScalars[];
}

/** `outcome`: what step k (from 1) gives; validation: token counts and losses of the batches. */
async function bench(
  plan: Plan,
  outcome: (step: number) => Partial<StepResult> = () => ({}),
  change: Partial<TrainingParts> & { validation?: readonly [number, number][] } = {},
): Promise<Bench> {
  const { validation = [], ...parts } = change;
  const directory = await scratch();
  const steps: StepScalars[] = [];
  let evaluated = 0;
  const session: TrainingSession = {
    start: async () => {},
    step: async (_, scalars) => {
      const step = steps.push(scalars);
      return { loss: 1 / step, gradNorm: 2, skipped: false, adapter: ADAPTER, stats, ...outcome(step) };
    },
    trace: () => [],
    evaluate: async () => validation[evaluated++ % validation.length]![1],
    checkpoint: async (sinks) => {
      for (const { path } of sinks) await writeFile(path, "payload", { flag: "a" });
    },
  };
  const batches: BatchSource = {
    step: () => rows(10),
    validation: () => validation.map(([tokens]) => rows(tokens)),
  };
  const state = TrainingState.start();
  const origin = {
    lemaVersion: "0.0.0",
    backend: "cpu" as const,
    device: "none",
    build: `sha256:${"0".repeat(64)}`,
    threads: 1,
    resumedFrom: null,
  };
  const output = await RunOutput.begin(directory, plan, origin, state);
  const memory = new PeakMemory(60_000);
  const defaults = {
    plan,
    session,
    state,
    batches,
    output,
    memory,
    saved: null,
    stopAfter: null,
    stop: null,
    trace: false,
  };
  return { parts: { ...defaults, hooks: {}, ...parts }, directory, steps };
}

const checkpoints = async (directory: string) =>
  (await readdir(directory)).filter((name) => /^checkpoint|^final/.test(name)).sort();

describe("Training", () => {
  it("writes a checkpoint at every interval and final/ at the end", async () => {
    const { parts, directory } = await bench(toyPlan({ ...base, checkpoint_every: 2, checkpoint_keep: 2 }));
    const end = await new Training(parts).run();
    expect(end).toEqual({ status: "finished", evalLoss: null, checkpoint: join(directory, "final") });
    expect(await checkpoints(directory)).toEqual(["checkpoint-4", "checkpoint-6", "final"]);
  });

  it("evaluates at the interval, at the end of each epoch and at the end, weighting by tokens", async () => {
    const validation: [number, number][] = [
      [1, 4],
      [3, 8],
    ];
    const plan = toyPlan({ ...base, evaluate_every: 3 });
    const { parts, directory } = await bench(plan, undefined, { validation });
    const { evalLoss } = await new Training(parts).run();
    expect(evalLoss).toBe(7);
    const passes = (await readMetrics(directory)).filter((row) => "eval_loss" in row);
    expect(passes.map(({ step }) => step)).toEqual([3, 4, 6]);
  });

  it("stopped before its first step it leaves a checkpoint to go on from", async () => {
    const { parts, directory } = await bench(toyPlan(base), undefined, { stop: AbortSignal.abort() });
    const end = await new Training(parts).run();
    expect(end).toMatchObject({ status: "stopped", checkpoint: join(directory, "checkpoint-0") });
    expect((await findCheckpoint(directory, "latest")).state.step).toBe(0);
  });

  it("stops after the step under way, with a checkpoint and without a final one", async () => {
    const stop = new AbortController();
    const hooks = { onStep: ({ step }: { step: number }) => (step === 3 ? stop.abort() : undefined) };
    const { parts, directory, steps } = await bench(toyPlan(base), undefined, { stop: stop.signal, hooks });
    const end = await new Training(parts).run();
    expect(end).toMatchObject({ status: "stopped", checkpoint: join(directory, "checkpoint-3") });
    expect(steps).toHaveLength(3);
    expect(await checkpoints(directory)).toEqual(["checkpoint-3"]);
  });

  it("a checkpoint that cannot be written leaves nothing behind, and those before it as they are", async () => {
    const { parts, directory } = await bench(toyPlan({ ...base, checkpoint_every: 2 }));
    const { session } = parts;
    let written = 0;
    const full: TrainingSession = {
      ...session,
      checkpoint: async (sinks) => {
        await session.checkpoint(sinks);
        if (++written === 2) throw new Error("no space left");
      },
    };
    await expect(new Training({ ...parts, session: full }).run()).rejects.toThrow("no space left");
    expect((await readdir(directory)).filter((name) => /partial|checkpoint/.test(name))).toEqual([
      "checkpoint-2",
    ]);
    expect((await findCheckpoint(directory, "latest")).state.step).toBe(2);
  });

  it.each([
    ["loss is NaN", { loss: Number.NaN }],
    ["loss is Infinity", { loss: Number.POSITIVE_INFINITY }],
    ["gradient norm is NaN", { gradNorm: Number.NaN, skipped: true }],
  ])("names the step where the %s, and keeps what was there before", async (what, bad) => {
    const plan = toyPlan({ ...base, checkpoint_every: 2 });
    const { parts, directory } = await bench(plan, (step) => (step === 4 ? bad : {}));
    const [problem] = await diagnosticsOf(() => new Training(parts).run());
    expect(problem).toMatchObject({ code: "run.non-finite", summary: `the ${what} in step 4` });
    expect(await checkpoints(directory)).toEqual(["checkpoint-2"]);
    expect((await readMetrics(directory)).map(({ step }) => step)).toEqual([1, 2, 3]);
  });

  it("counts skipped steps in fp16: the schedule goes on and AdamW's counter does not", async () => {
    const fp16 = withPrecision(toyPlan({ ...base, schedule: { type: "linear", warmup_steps: 0 } }), "fp16");
    const overflow = { gradNorm: Number.POSITIVE_INFINITY, skipped: true };
    const { parts, steps, directory } = await bench(fp16, (step) => (step === 2 ? overflow : {}));
    await new Training(parts).run();
    expect(parts.state).toMatchObject({ step: 6, adamSteps: 5, skipped: 1 });
    expect(steps[2]!.bias_correction).toBe(steps[1]!.bias_correction);
    expect(steps[2]!.step_size).toBeLessThan(steps[1]!.step_size);
    expect((await readMetrics(directory))[1]).toMatchObject({ step: 2, grad_norm: null });
  });

  it("gives up where every step overflows", async () => {
    const fp16 = withPrecision(toyPlan({ ...base, steps: 100 }), "fp16");
    const { parts } = await bench(fp16, () => ({ gradNorm: Number.NaN, skipped: true }));
    expect(await codesOf(() => new Training(parts).run())).toEqual(["run.non-finite"]);
    expect(parts.state.step).toBe(24);
  });
});

function withPrecision(plan: Plan, precision: Plan["numerics"]["precision"]): Plan {
  return { ...plan, numerics: { ...plan.numerics, precision } };
}
