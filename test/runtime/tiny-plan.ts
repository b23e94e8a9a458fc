/**
 * Hand-written plans, small enough to check by eye: a bf16 tensor is read from a file (at an offset that is not
 * aligned), widened to f32, and written to a checkpoint file. With vram it takes the long way round.
 *
 *   disk read w → [h2d copy] → compute: y = f32(w), z = 2.5 → [d2h copy] → disk write y
 */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { moduleInfo } from "../../runtime/addon.ts";
import type { Instruction, Plan, PlanBuffer, PlanProcedure } from "../../schemas/plan.ts";

export const OFFSET = 100;

export interface TinyOptions {
  /** Elements of the tensor. */
  readonly elements: number;
  readonly tiers: "disk-ram" | "disk-ram-vram";
  /** How often the tensor is read and widened; each time is one turn of a two-slot ring. */
  readonly turns: number;
}

export interface Tiny {
  readonly plan: Plan;
  readonly paths: ReadonlyMap<string, string>;
  /** The tensor's values. */
  readonly values: Float32Array;
  readonly directory: string;
  readonly file: string;
}

const align = (bytes: number): number => Math.ceil(bytes / 4096) * 4096;

/** Values that bf16 holds exactly. */
export function tensorValues(elements: number): Float32Array {
  return Float32Array.from({ length: elements }, (_, i) => ((i * 37) % 251) - 125);
}

function bf16(values: Float32Array): Uint8Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return new Uint8Array(Uint16Array.from(words, (word) => word >>> 16).buffer);
}

export function tiny(options: Partial<TinyOptions> = {}): Tiny {
  const { elements = 5000, tiers = "disk-ram", turns = 2 } = options;
  const directory = mkdtempSync(join(tmpdir(), "lema-tiny-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const values = tensorValues(elements);
  const data = bf16(values);
  const file = join(directory, "w.bin");
  writeFileSync(file, Buffer.concat([Buffer.alloc(OFFSET, 7), data, Buffer.alloc(33, 9)]));
  const digest = `sha256:${createHash("sha256").update(data).digest("hex")}`;
  const plan = tinyPlan({ elements, tiers, turns }, data.byteLength, digest);
  return { plan, paths: new Map([["w", file]]), values, directory, file };
}

function tinyPlan({ elements, tiers, turns }: TinyOptions, weightBytes: number, digest: string): Plan {
  const vram = tiers === "disk-ram-vram";
  const compute = vram ? "vram" : "ram";
  const resultBytes = 4 * elements;
  const place = new Placement();
  const slots = [0, 1].map((i) => place.buffer(`slot/${i}`, "ram", weightBytes, "weights"));
  const device = vram
    ? [0, 1].map((i) => place.buffer(`device/${i}`, "vram", weightBytes, "weights"))
    : slots;
  const y = place.buffer("y", compute, resultBytes, "activation");
  const z = place.buffer("z", compute, resultBytes, "activation");
  const out = vram ? place.buffer("out", "ram", resultBytes, "output") : y;
  const staging = place.buffer("staging", "ram", 16384, "staging");
  const input = place.buffer("input", "ram", 16, "input");

  const steady: Instruction[] = [];
  const lastRun: (string | null)[] = [null, null];
  const lastCopy: (string | null)[] = [null, null];
  for (let turn = 0; turn < turns; ++turn) {
    const slot = turn % 2;
    const wait = (on: string | null | undefined) => (on ? [{ on, at: 0 }] : []);
    steady.push({
      kind: "read",
      lane: "disk",
      id: `read/${turn}`,
      waits: wait(vram ? lastCopy[slot] : lastRun[slot]),
      reads: [],
      writes: [],
      bytes: weightBytes,
      unit: "u",
      evicts: null,
      segments: [
        {
          file: "w",
          offset: OFFSET,
          bytes: weightBytes,
          tensor: "w",
          from: 0,
          to: { buffer: slots[slot]!, offset: 0 },
        },
      ],
      staging: { buffer: staging, offset: 0, bytes: 16384 },
    });
    if (vram) {
      steady.push({
        kind: "copy",
        lane: "h2d",
        id: `up/${turn}`,
        waits: [...wait(`read/${turn}`), ...wait(lastRun[slot])],
        reads: [],
        writes: [],
        bytes: weightBytes,
        from: { buffer: slots[slot]!, offset: 0 },
        to: { buffer: device[slot]!, offset: 0 },
        unit: "u",
      });
      lastCopy[slot] = `up/${turn}`;
    }
    steady.push({
      kind: "run",
      lane: "compute",
      id: `widen/${turn}`,
      // The weights are not needed before the second call.
      waits: [{ on: vram ? `up/${turn}` : `read/${turn}`, at: 1 }],
      reads: [],
      writes: [],
      bytes: 0,
      procedure: "widen",
      bind: {
        weights: { buffer: device[slot]!, offset: 0 },
        y: { buffer: y, offset: 0 },
        z: { buffer: z, offset: 0 },
      },
      unit: "u",
    });
    lastRun[slot] = `widen/${turn}`;
  }
  const last = `widen/${turns - 1}`;
  if (vram) {
    steady.push({
      kind: "copy",
      lane: "d2h",
      id: "down",
      waits: [{ on: last, at: 0 }],
      reads: [],
      writes: [],
      bytes: resultBytes,
      from: { buffer: y, offset: 0 },
      to: { buffer: out, offset: 0 },
      unit: null,
    });
  }
  const checkpoint: Instruction[] = [
    {
      kind: "write",
      lane: "disk",
      id: "write/y",
      waits: [],
      reads: [],
      writes: [],
      bytes: resultBytes,
      sink: "result",
      offset: 0,
      from: { buffer: out, offset: 0, bytes: resultBytes },
      staging: { buffer: staging, offset: 0, bytes: 16384 },
    },
  ];
  const widen: PlanProcedure = {
    id: "widen",
    formals: [
      { name: "weights", bytes: weightBytes, access: "read" },
      { name: "y", bytes: resultBytes, access: "write" },
      { name: "z", bytes: resultBytes, access: "write" },
    ],
    calls: [
      {
        op: "fill",
        operands: { y: { formal: "z", offset: 0, shape: [elements], dtype: "f32" } },
        attributes: { value: 2.5 },
        workspace: null,
      },
      {
        op: "convert",
        operands: {
          x: { formal: "weights", offset: 0, shape: [elements], dtype: "bf16" },
          y: { formal: "y", offset: 0, shape: [elements], dtype: "f32" },
        },
        attributes: {},
        workspace: null,
      },
    ],
    flops: 0,
  };
  const none = { prologue: [], steady: [], epilogue: [] };
  const budgetOf = (arena: number) => ({ budget: arena, reserve: 0, arena, total: arena, max_live: arena });
  return {
    format_version: "1.0",
    lema_version: "0",
    op_table: moduleInfo().opTable,
    plan_id: "tiny",
    estimate_id: "tiny",
    executable: true,
    inputs: {
      recipe: {},
      model: { family: "none", config: {} },
      dataset: null,
      tokenizer: null,
      adapter: null,
      files: [{ id: "w", bytes: OFFSET + weightBytes + 33, digest: null }],
      seed: 0,
    },
    shape: {
      tiers,
      compute_arena: compute,
      micro_batch: 1,
      micro_batches: 1,
      batch_size: 1,
      sequence_length: 1,
      tokens_per_step: 1,
      resident_units: 0,
      ring: 2,
      threads: 2,
    },
    budgets: { ram: budgetOf(place.end.ram), vram: vram ? budgetOf(place.end.vram) : null },
    tensors: [
      {
        name: "w",
        role: "block",
        shape: [elements],
        storage: "bf16",
        file: "w",
        offset: OFFSET,
        bytes: weightBytes,
        digest,
      },
    ],
    units: [
      {
        id: "u",
        kind: "block",
        bytes: weightBytes,
        parts: [{ tensor: "w", from: 0, bytes: weightBytes, at: 0 }],
      },
    ],
    buffers: place.buffers,
    constants: [{ at: { buffer: input, offset: 8 }, dtype: "i32", values: [41, 42] }],
    step_inputs: [
      {
        name: "tokens",
        doc: "",
        dtype: "i32",
        shape: [2],
        range: [0, 9],
        at: { buffer: input, offset: 0 },
      },
    ],
    step_outputs: [{ name: "y", dtype: "f32", at: { buffer: out, offset: 0 } }],
    parameters: [],
    sinks: [{ id: "result", file: "result.bin", tensors: [], bytes: resultBytes }],
    procedures: [widen],
    residency: [],
    programs: {
      "train-step": { prologue: [], steady, epilogue: [] },
      evaluate: none,
      checkpoint: { prologue: [], steady: checkpoint, epilogue: [] },
    },
    predictions: [],
    bounds: [],
    decisions: [],
    candidates: [],
    numerics: {
      precision: "f32",
      activation: "f32",
      f16_factors: 0,
      row_tile: 1,
      column_tile: 1,
      vocabulary_tile: 1,
    },
    training: {
      steps: 1,
      steps_per_epoch: 1,
      learning_rate: 0,
      schedule: { type: "constant", warmup_steps: 0 },
      optimizer: { type: "adamw", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0 },
      max_grad_norm: 1,
      checkpoint_every: null,
      checkpoint_keep: 1,
      evaluate_every: null,
      shuffle: false,
    },
    adapter: { rank: 1, alpha: 1, rslora: false, targets: [], base_model: "none" },
    meta: { hardware: {}, paths: {}, output: null, created: null },
  };
}

/** Buffers one behind another, each on its own pages. */
class Placement {
  readonly buffers: PlanBuffer[] = [];
  readonly end = { ram: 0, vram: 0 };

  buffer(id: string, arena: "ram" | "vram", bytes: number, holds: PlanBuffer["holds"]): string {
    const offset = this.end[arena];
    this.buffers.push({ id, arena, offset, bytes, alignment: 4096, holds, lifetime: null });
    this.end[arena] = offset + align(bytes);
    return id;
  }
}
