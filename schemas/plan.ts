/**
 * plan.json: what is in which byte of which memory at every moment of a run, and what moves it.
 *
 * Invariants (checked by `schemas/verify`, which reads nothing else):
 * - a program's instructions stand in a serial order whose meaning defines the plan; each lane runs its own
 *   subsequence, and `waits` make every conflicting pair on different lanes keep the serial order;
 * - all buffers lie inside their arena; two buffers share bytes only when their lifetimes are disjoint;
 * - every byte that is read was written before, and holds what the reader expects;
 * - the steady part ends in the state in which it starts.
 *
 * Integers for bytes, nanoseconds and parts per million. Paths, host names and wall-clock time live in `meta`, which
 * no hash covers. Unknown fields of a minor version are ignored; an unknown major version is refused.
 */
import * as z from "zod";

export const PLAN_FORMAT_VERSION = "1.0";

const bytes = z.int().nonnegative();
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const dtype = z.enum(["f32", "bf16", "f16", "f64", "i32"]);
const shape = z.array(z.int().positive());

export const arenaName = z.enum(["ram", "vram"]);
export const laneName = z.enum(["disk", "h2d", "compute", "d2h", "host"]);
export const programName = z.enum(["train-step", "evaluate", "checkpoint", "decode", "prefill"]);

/** A position inside a buffer. */
const place = z.object({ buffer: z.string(), offset: bytes });
const range = z.object({ buffer: z.string(), offset: bytes, bytes });

/** A weight tensor as its file holds it. */
const tensor = z.object({
  name: z.string(),
  role: z.enum(["embedding", "block", "norm", "head"]),
  shape,
  storage: dtype,
  file: z.string(),
  offset: bytes,
  bytes,
  digest: digest.nullable(),
});

/** Weights that move together; each part has its place inside every slot that the unit may take. */
const unit = z.object({
  id: z.string(),
  kind: z.enum(["block", "norm", "head", "embedding"]),
  bytes,
  parts: z.array(
    z.object({
      tensor: z.string(),
      /** First byte within the tensor (a head chunk is some rows of it). */
      from: bytes,
      bytes,
      /** First byte within the slot. */
      at: bytes,
    }),
  ),
});

const buffer = z.object({
  id: z.string(),
  arena: arenaName,
  offset: bytes,
  bytes,
  alignment: z.int().positive(),
  holds: z.enum([
    "weights",
    "staging",
    "adapter",
    "gradient",
    "optimizer",
    "activation",
    "scratch",
    "input",
    "output",
    "constant",
    "cache",
  ]),
  /** `null`: alive in every program from load to close. Else alive in one program, in serial positions [start, end). */
  lifetime: z
    .object({ program: programName, start: z.int().nonnegative(), end: z.int().positive() })
    .nullable(),
});

const operand = z.object({
  formal: z.string(),
  offset: bytes,
  shape,
  dtype,
  accumulate: z.literal(true).optional(),
});

const call = z.object({
  op: z.string(),
  operands: z.record(z.string(), operand),
  /** ±∞ does not exist in JSON: written as the strings "inf" and "-inf". */
  attributes: z.record(z.string(), z.union([z.number(), z.enum(["inf", "-inf"])])),
  /** The kernel's private scratch inside the formal `scratch`. */
  workspace: z.object({ offset: bytes, bytes }).nullable(),
});

/** A named list of op calls over formal buffers; identical layers share one. */
const procedure = z.object({
  id: z.string(),
  formals: z.array(
    z.object({ name: z.string(), bytes, access: z.enum(["read", "write", "update", "scratch"]) }),
  ),
  calls: z.array(call),
  flops: z.int().nonnegative(),
});

/** Waits for the end of instruction `on` before call `at` of this instruction (0 = before it starts). */
const wait = z.object({ on: z.string(), at: z.int().nonnegative() });

const common = {
  /** Stable across budgets where the work is the same, e.g. `fwd/L07/mb2`. */
  id: z.string(),
  waits: z.array(wait),
  reads: z.array(range),
  writes: z.array(range),
  /** Bytes moved over the lane's link; 0 on compute and host. */
  bytes,
};

const readInstruction = z.object({
  kind: z.literal("read"),
  lane: z.literal("disk"),
  ...common,
  /** What the slot holds afterwards. */
  unit: z.string(),
  /** What it held before and loses, for people. */
  evicts: z.string().nullable(),
  segments: z.array(
    z.object({ file: z.string(), offset: bytes, bytes, tensor: z.string(), from: bytes, to: place }),
  ),
  staging: range,
});

/** Fetches one row of a table per token of an input buffer (`bytes` is the worst case, with aligned rows). */
const gatherInstruction = z.object({
  kind: z.literal("gather"),
  lane: z.literal("disk"),
  ...common,
  file: z.string(),
  offset: bytes,
  row_bytes: bytes,
  table_rows: z.int().positive(),
  tensor: z.string(),
  /** i32 token ids. */
  indices: range,
  to: place,
  staging: range,
});

const copyInstruction = z.object({
  kind: z.literal("copy"),
  lane: z.enum(["h2d", "d2h"]),
  ...common,
  from: place,
  to: place,
  /** Set when weights are copied: what the destination holds afterwards. */
  unit: z.string().nullable(),
});

const runInstruction = z.object({
  kind: z.literal("run"),
  lane: z.enum(["compute", "host"]),
  ...common,
  procedure: z.string(),
  bind: z.record(z.string(), place),
  /** The unit whose weights the formal `weights` must hold, if it has one. */
  unit: z.string().nullable(),
});

/** Writes arena bytes into the payload of a checkpoint file; the runtime adds the length of the file's header. */
const writeInstruction = z.object({
  kind: z.literal("write"),
  lane: z.literal("disk"),
  ...common,
  sink: z.string(),
  offset: bytes,
  from: range,
  staging: range,
});

export const instructionSchema = z.discriminatedUnion("kind", [
  readInstruction,
  gatherInstruction,
  copyInstruction,
  runInstruction,
  writeInstruction,
]);

/** Prologue: from an empty arena to the steady state. Steady: one step. Epilogue: what ends a run. */
const program = z.object({
  prologue: z.array(instructionSchema),
  steady: z.array(instructionSchema),
  epilogue: z.array(instructionSchema),
});

/**
 * Which unit each weights slot holds when the steady part of every program starts and ends. A slot that is smaller than
 * its units holds a `part` of their bytes: [from, from + bytes).
 */
const residency = z.array(
  z.object({ buffer: z.string(), unit: z.string(), part: z.object({ from: bytes, bytes }).optional() }),
);

const parameter = z.object({
  /** PEFT's name, e.g. `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`. */
  name: z.string(),
  unit: z.string(),
  shape,
  init: z.enum(["kaiming-uniform", "zeros"]),
  value: place,
  gradient: place,
  first_moment: place,
  second_moment: place,
});

/** A checkpoint file: a safetensors payload, described tensor by tensor. */
const sink = z.object({
  id: z.string(),
  file: z.string(),
  tensors: z.array(z.object({ name: z.string(), dtype, shape, offset: bytes, bytes })),
  bytes,
});

const stepInput = z.object({
  name: z.string(),
  doc: z.string(),
  dtype,
  shape,
  /** Smallest and largest legal value. */
  range: z.tuple([z.number(), z.number()]).nullable(),
  at: place,
});

const stepOutput = z.object({
  name: z.string(),
  dtype,
  /** One number where it is left out. */
  shape: shape.optional(),
  at: place,
});

const bound = z.object({
  link: z.enum(["disk", "h2d", "d2h"]),
  program: programName,
  moved: bytes,
  bound: bytes,
  proof: z.string(),
  certificate: z.record(z.string(), z.union([z.number(), z.string(), z.array(z.string())])),
  gap_ppm: z.int().nonnegative(),
});

const decision = z.object({
  name: z.string(),
  chosen: z.string(),
  reason: z.string(),
  /** Key path of the recipe that led to it, when there is one. */
  recipe_path: z.string().nullable(),
});

/** A shape that the search weighed. */
const candidate = z.object({
  /** One for each of the plan's decisions. */
  values: z.array(z.string()),
  /** Of a step, by the closed form, which takes lanes as independent. */
  estimate_ns: z.int().nonnegative(),
  /** Of a step, by its schedule, or of the chosen one by its layout; null where the closed form was enough to drop it. */
  simulated_ns: z.int().nonnegative().nullable(),
  /** Bytes on all links in a step, by the closed form. */
  moved: bytes,
  /** Why it was chosen, or was not. */
  reason: z.string(),
});

const budget = z.object({ budget: bytes, reserve: bytes, arena: bytes, total: bytes, max_live: bytes });

const prediction = z.object({
  program: programName,
  step_ns: z.int().nonnegative(),
  bound_ns: z.int().nonnegative(),
  bottleneck: laneName,
  lanes: z.array(
    z.object({ lane: laneName, busy_ns: z.int().nonnegative(), stalled_ns: z.int().nonnegative() }),
  ),
  stalls: z.array(z.object({ instruction: z.string(), cause: z.string(), ns: z.int().nonnegative() })),
});

/** What a plan says of any work. */
const shared = {
  format_version: z.string(),
  lema_version: z.string(),
  /** Hash of the op table (`schemas/generated/op-table.json`); the native module must carry the same. */
  op_table: z.string(),
  /** sha256 of the canonical JSON of everything that decides what a run does. */
  plan_id: z.string(),
  /** sha256 of the hardware profile and the predictions. */
  estimate_id: z.string(),
  /** False for a plan made by --dry-run: no digests, not to be executed. */
  executable: z.boolean(),
  shape: z.object({
    tiers: z.enum(["disk-ram", "disk-ram-vram"]),
    compute_arena: arenaName,
    micro_batch: z.int().positive(),
    micro_batches: z.int().positive(),
    batch_size: z.int().positive(),
    sequence_length: z.int().positive(),
    tokens_per_step: z.int().positive(),
    resident_units: z.int().nonnegative(),
    ring: z.int().nonnegative(),
    threads: z.int().positive(),
  }),
  budgets: z.object({ ram: budget, vram: budget.nullable() }),
  tensors: z.array(tensor),
  units: z.array(unit),
  buffers: z.array(buffer),
  constants: z.array(z.object({ at: place, dtype: z.enum(["f32", "i32"]), values: z.array(z.number()) })),
  step_inputs: z.array(stepInput),
  step_outputs: z.array(stepOutput),
  procedures: z.array(procedure),
  residency,
  predictions: z.array(prediction),
  bounds: z.array(bound),
  decisions: z.array(decision),
  /** The chosen shape first, then those that it was chosen from; not all of which the closed form dropped. */
  candidates: z.array(candidate),
  /** What fixes bits: depends on model, sequence length and precision only. */
  numerics: z.object({
    precision: z.enum(["f32", "bf16", "fp16"]),
    activation: dtype,
    f16_factors: z.literal([0, 1]),
    row_tile: z.int().positive(),
    column_tile: z.int().positive(),
    vocabulary_tile: z.int().positive(),
  }),
  meta: z.object({
    hardware: z.record(z.string(), z.unknown()),
    /** Absolute path of each file id at planning time. */
    paths: z.record(z.string(), z.string()),
    output: z.string().nullable(),
    created: z.string().nullable(),
    /** Where the recipe stood, and what the command line changed of it. */
    recipe: z.object({ file: z.string(), overrides: z.array(z.string()) }).optional(),
  }),
};

/** What any plan is made from. */
const sharedInputs = {
  recipe: z.record(z.string(), z.unknown()),
  model: z.object({ family: z.string(), config: z.record(z.string(), z.unknown()) }),
  adapter: z.object({ digest }).nullable(),
  files: z.array(z.object({ id: z.string(), bytes, digest: digest.nullable() })),
};

/** A fine-tune. */
export const planSchema = z.object({
  ...shared,
  inputs: z.object({
    ...sharedInputs,
    dataset: z
      .object({
        digest,
        train_rows: z.int().nonnegative(),
        validation_rows: z.int().nonnegative(),
        supervised_tokens: z.int().nonnegative(),
        attended_pairs: z.int().nonnegative().optional(),
      })
      .nullable(),
    tokenizer: digest.nullable(),
    seed: z.int().nonnegative(),
  }),
  parameters: z.array(parameter),
  sinks: z.array(sink),
  programs: z.object({ "train-step": program, evaluate: program, checkpoint: program }),
  training: z.object({
    steps: z.int().positive(),
    steps_per_epoch: z.int().positive(),
    learning_rate: z.number(),
    schedule: z.object({
      type: z.enum(["constant", "linear", "cosine"]),
      warmup_steps: z.int().nonnegative(),
    }),
    optimizer: z.object({
      type: z.literal("adamw"),
      beta1: z.number(),
      beta2: z.number(),
      epsilon: z.number(),
      weight_decay: z.number(),
    }),
    max_grad_norm: z.number(),
    checkpoint_every: z.int().positive().nullable(),
    checkpoint_keep: z.int().positive(),
    evaluate_every: z.int().positive().nullable(),
    shuffle: z.boolean(),
  }),
  adapter: z.object({
    rank: z.int().positive(),
    alpha: z.number(),
    rslora: z.boolean(),
    targets: z.array(z.string()),
    rank_pattern: z.array(z.tuple([z.string(), z.int().positive()])).optional(),
    alpha_pattern: z.array(z.tuple([z.string(), z.number().positive()])).optional(),
    base_model: z.string(),
  }),
});

/** Keys and values of a unit's attention, f32 [1, capacity, key/value heads, head size] each. */
const cache = z.object({ unit: z.string(), keys: place, values: place, shape });

/**
 * Generation of one sequence: `prefill` appends up to `chunk` positions to the caches and `decode` one; both leave the
 * logits of what comes behind the last. A run decodes again and again, so `decode` has the prologue.
 */
export const generationPlanSchema = z.object({
  ...shared,
  purpose: z.literal("generation"),
  inputs: z.object(sharedInputs),
  parameters: z.array(parameter.pick({ name: true, unit: true, shape: true, value: true })),
  programs: z.object({ decode: program, prefill: program }),
  caches: z.array(cache),
  generation: z.object({
    /** Positions that the caches have room for. */
    capacity: z.int().positive(),
    /** Positions of a prefill step. */
    chunk: z.int().positive(),
  }),
});

/** The schema of what a plan claims to be: only a generation plan says its purpose. */
export function schemaOf(plan: unknown): typeof planSchema | typeof generationPlanSchema {
  const generates =
    typeof plan === "object" && plan !== null && "purpose" in plan && plan.purpose === "generation";
  return generates ? generationPlanSchema : planSchema;
}

export type Plan = z.infer<typeof planSchema>;
export type GenerationPlan = z.infer<typeof generationPlanSchema>;
export type AnyPlan = Plan | GenerationPlan;
export type PlanTensor = Plan["tensors"][number];
export type PlanUnit = Plan["units"][number];
export type PlanBuffer = Plan["buffers"][number];
export type PlanProcedure = Plan["procedures"][number];
export type PlanCall = PlanProcedure["calls"][number];
export type PlanOperand = PlanCall["operands"][string];
export type PlanProgram = z.infer<typeof program>;
export type PlanParameter = Plan["parameters"][number];
export type PlanCache = GenerationPlan["caches"][number];
export type PlanSink = Plan["sinks"][number];
export type Instruction = z.infer<typeof instructionSchema>;
export type Wait = Instruction["waits"][number];
export type Place = z.infer<typeof place>;
export type Range = z.infer<typeof range>;
export type ArenaName = z.infer<typeof arenaName>;
export type LaneName = z.infer<typeof laneName>;
export type ProgramName = z.infer<typeof programName>;
export type Residency = z.infer<typeof residency>;

/** The programs that a plan has. */
export function programsOf(plan: AnyPlan): Readonly<Partial<Record<ProgramName, PlanProgram>>> {
  return plan.programs;
}

/** The program that a run repeats. */
export function cycleOf(plan: AnyPlan): ProgramName {
  return "purpose" in plan ? "decode" : "train-step";
}

/** Scalars of a step, each one float32 in the input buffer, in this order. */
export const stepScalars = [
  { name: "inverse_tokens", doc: "1 / supervised tokens of the step.", range: [0, 1] },
  { name: "step_size", doc: "Learning rate / (1 − β₁^t).", range: [0, 1e6] },
  { name: "decay", doc: "1 − learning rate · weight decay.", range: [0, 1] },
  { name: "bias_correction", doc: "√(1 − β₂^t).", range: [0, 1] },
] as const;
