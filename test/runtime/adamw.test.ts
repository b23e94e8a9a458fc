/** The adamw kernels against torch.optim.AdamW itself, bit for bit, through the engine: `test/parity/adamw.py`. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { readSafetensorsHeader } from "../../models/safetensors.ts";
import { type Backend, type Engine, openEngine } from "../../runtime/addon.ts";
import { scalarsOf } from "../../runtime/scalars.ts";
import type { Plan, PlanBuffer } from "../../schemas/plan.ts";
import { tiny } from "./tiny-plan.ts";

const GOLDEN = resolve(import.meta.dirname, "../golden/adamw.safetensors");

interface Setting {
  readonly learning_rate: number;
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weight_decay: number;
}

const file = readFileSync(GOLDEN);
const { tensors, metadata } = await readSafetensorsHeader(GOLDEN);
const settings = Object.entries(JSON.parse(metadata.get("settings")!) as Record<string, Setting>);

/** Row `row` of a golden tensor [rows, n]. */
function golden(name: string, row: number): Buffer {
  const { offset, shape } = tensors.get(name)!;
  const bytes = 4 * shape[1]!;
  return file.subarray(offset + row * bytes, offset + (row + 1) * bytes);
}

const VECTORS = ["param", "grad", "first_moment", "second_moment"] as const;
const SCALARS = ["clip", "skip", "step_size", "decay", "bias_correction"] as const;

/** A plan of nothing but one adamw call over n parameters, each operand in a buffer of its name. */
function updatePlan(base: Plan, n: number, { betas: [beta1, beta2], eps }: Setting): Plan {
  const shapes = { ...record(VECTORS, () => [n]), ...record(SCALARS, () => [1]) };
  const names = Object.keys(shapes);
  const start = base.budgets.ram.arena;
  const buffers = names.map(
    (id, index): PlanBuffer => ({ ...base.buffers[0]!, id, offset: start + 4096 * index, bytes: 4096 }),
  );
  const operands = Object.entries(shapes).map(([formal, shape]) => {
    const dtype = formal === "skip" ? "i32" : "f32";
    return [formal, { formal, offset: 0, shape, dtype }] as const;
  });
  const total = start + 4096 * names.length;
  return {
    ...base,
    budgets: { ram: { budget: total, reserve: 0, arena: total, total, max_live: total }, vram: null },
    buffers: [...base.buffers, ...buffers],
    procedures: [
      {
        id: "update",
        formals: names.map((name) => ({ name, bytes: 4096, access: "update" })),
        calls: [
          {
            op: "adamw",
            operands: Object.fromEntries(operands),
            attributes: { beta1, beta2, epsilon: eps },
            workspace: null,
          },
        ],
        flops: 0,
      },
    ],
    programs: {
      ...base.programs,
      "train-step": {
        prologue: [],
        steady: [
          {
            kind: "run",
            lane: "compute",
            id: "update",
            waits: [],
            reads: [],
            writes: [],
            bytes: 0,
            procedure: "update",
            bind: record(names, (buffer) => ({ buffer, offset: 0 })),
            unit: null,
          },
        ],
        epilogue: [],
      },
    },
  };
}

function record<Key extends string, Value>(
  keys: readonly Key[],
  of: (key: Key) => Value,
): Record<Key, Value> {
  return Object.fromEntries(keys.map((key) => [key, of(key)])) as Record<Key, Value>;
}

async function compare(engine: Engine, name: string, setting: Setting): Promise<void> {
  const { betas, eps, weight_decay, learning_rate: learningRate } = setting;
  const optimizer = { type: "adamw", beta1: betas[0], beta2: betas[1], epsilon: eps, weight_decay } as const;
  const [steps, n] = tensors.get(`${name}.grad`)!.shape as [number, number];
  const at = (buffer: string) => ({ buffer, offset: 0 });
  engine.writeTensor(at("param"), golden(`${name}.param`, 0));
  for (const moment of ["first_moment", "second_moment"])
    engine.writeTensor(at(moment), new Uint8Array(4 * n));
  engine.writeTensor(at("clip"), new Uint8Array(Float32Array.of(1).buffer));
  engine.writeTensor(at("skip"), new Uint8Array(4));
  for (let step = 0; step < steps; step++) {
    const scalars = scalarsOf({ optimizer, learningRate, adamSteps: step, supervisedTokens: 1 });
    for (const key of ["step_size", "decay", "bias_correction"] as const) {
      engine.writeTensor(at(key), new Uint8Array(Float32Array.of(scalars[key]).buffer));
    }
    engine.writeTensor(at("grad"), golden(`${name}.grad`, step));
    await engine.run({ program: "train-step", part: "steady" });
    for (const [buffer, row] of [
      ["param", step + 1],
      ["first_moment", step],
      ["second_moment", step],
    ] as const) {
      const same = Buffer.from(engine.readTensor(at(buffer), 4 * n)).equals(golden(`${name}.${buffer}`, row));
      expect(same, `${buffer} after step ${step + 1}`).toBe(true);
    }
  }
}

test.each(
  settings.flatMap(([name, setting]) =>
    (["cpu", "reference"] as const).map((backend) => ({ name, setting, backend })),
  ),
)(
  "$backend: $name",
  async ({ name, setting, backend }: { name: string; setting: Setting; backend: Backend }) => {
    const { plan, paths } = tiny();
    const engine = openEngine({ backend, serialLanes: false, diskThrottle: null });
    try {
      await engine.load(updatePlan(plan, tensors.get(`${name}.grad`)!.shape[1]!, setting), paths);
      await compare(engine, name, setting);
    } finally {
      engine.close();
    }
  },
);
