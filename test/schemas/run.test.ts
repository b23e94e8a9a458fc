import { describe, expect, it } from "vitest";
import {
  lemaStateSchema,
  manifestSchema,
  metricSchema,
  type RunRecord,
  runSchema,
  trainerStateSchema,
} from "../../schemas/run.ts";

const DIGEST = `sha256:${"0".repeat(64)}`;

const RECORD: RunRecord = {
  format_version: 1,
  lema_version: "0.1.0",
  plan_id: DIGEST,
  status: "running",
  backend: "cpu",
  device: "a processor",
  build: DIGEST,
  threads: 2,
  started_at: "2025-01-01T00:00:00.000Z",
  finished_at: null,
  resumed_from: null,
  steps: 0,
  total_steps: 40,
  tokens: 0,
  loss: null,
  memory: { ram: { planned: 1, measured: null }, vram: null, device: null },
  adapter: null,
};

describe("run.json", () => {
  it("accepts a running and a finished run", () => {
    expect(runSchema.parse(RECORD)).toEqual(RECORD);
    const finished = {
      ...RECORD,
      status: "finished",
      finished_at: RECORD.started_at,
      loss: { first: 3, last: 1 },
    };
    expect(runSchema.safeParse(finished).success).toBe(true);
  });

  it.each([
    ["another format", { format_version: 2 }],
    ["a digest without its algorithm", { build: "0".repeat(64) }],
    ["an unknown key", { host: "x" }],
    ["a local time", { started_at: "2025-01-01 00:00" }],
    ["a fractional step", { steps: 1.5 }],
  ])("refuses %s", (_, change) => {
    expect(runSchema.safeParse({ ...RECORD, ...change }).success).toBe(false);
  });
});

describe("metrics.jsonl", () => {
  const row = { step: 1, loss: 2.5, grad_norm: 0.1, lr: 1e-4, tokens: 100, seconds: 0.5 };

  it("has training rows and evaluation rows", () => {
    expect(metricSchema.parse(row)).toEqual(row);
    expect(metricSchema.parse({ step: 0, eval_loss: 3 })).toEqual({ step: 0, eval_loss: 3 });
  });

  it.each([{ loss: Number.NaN }, { step: 0 }, { eval_loss: 1 }, { seconds: -1 }])(
    "refuses %j in a training row",
    (change) => {
      expect(metricSchema.safeParse({ ...row, ...change }).success).toBe(false);
    },
  );
});

describe("a checkpoint", () => {
  const file = { sha256: "0".repeat(64), size: 3 };

  it("lists plain file names only, so that a manifest cannot point elsewhere", () => {
    const parse = (name: string) =>
      manifestSchema.safeParse({ format_version: 1, files: { [name]: file } }).success;
    expect(parse("optimizer.safetensors")).toBe(true);
    expect(parse("../optimizer.safetensors")).toBe(false);
    expect(parse("a\\b")).toBe(false);
  });

  it("has the state of a resume", () => {
    const state = {
      format_version: 1,
      plan_id: DIGEST,
      step: 3,
      adam_step: 2,
      tokens: 900,
      position: { epoch: 0, row: 24 },
      seed: 42,
      loss_scale: { scale: 65536, good_steps: 3 },
    };
    expect(lemaStateSchema.parse(state)).toEqual(state);
    expect(lemaStateSchema.safeParse({ ...state, seed: 2 ** 32 }).success).toBe(false);
    expect(lemaStateSchema.safeParse({ ...state, position: { epoch: 0 } }).success).toBe(false);
  });

  it("keeps what Transformers adds to its trainer state", () => {
    const state = {
      best_global_step: null,
      best_metric: null,
      best_model_checkpoint: null,
      epoch: 0.5,
      eval_steps: 500,
      global_step: 20,
      is_hyper_param_search: false,
      is_local_process_zero: true,
      is_world_process_zero: true,
      log_history: [{ epoch: 0.5, step: 20, loss: 2, learning_rate: 1e-4, grad_norm: 1 }],
      logging_steps: 1,
      max_steps: 40,
      num_input_tokens_seen: 0,
      num_train_epochs: 1,
      save_steps: 20,
      stateful_callbacks: {},
      total_flos: 0,
      train_batch_size: 8,
      trial_name: null,
      trial_params: null,
      something_newer: 1,
    };
    expect(trainerStateSchema.parse(state)).toEqual(state);
    expect(trainerStateSchema.safeParse({ ...state, global_step: -1 }).success).toBe(false);
  });
});
