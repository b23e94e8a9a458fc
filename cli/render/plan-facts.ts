/**
 * What people and tools ask of a plan, computed from the plan alone.
 *
 * The keys of {@link PlanFacts} are relied on by other tools (`lema plan --json`): bytes and nanoseconds as integers.
 */
import { type Diagnostic, invariant } from "../../schemas/diagnostic.ts";
import {
  type AnyPlan,
  type ArenaName,
  cycleOf,
  type LaneName,
  type Plan,
  programsOf,
} from "../../schemas/plan.ts";

export interface TierMemory {
  readonly budget: number;
  readonly arena: number;
  readonly reserve: number;
  readonly total: number;
}

export interface PlanFacts {
  readonly plan_id: string;
  readonly fits: true;
  readonly memory: Readonly<Partial<Record<ArenaName, TierMemory>>>;
  /** Per link and training step. */
  readonly traffic: Readonly<Record<string, { readonly bytes: number; readonly bound: number }>>;
  readonly time: { readonly step_ns: number; readonly bound_ns: number; readonly bottleneck: LaneName };
  readonly shape: {
    readonly micro_batches: number;
    readonly tokens_per_step: number;
    readonly resident_units: number;
    readonly ring: number;
  };
}

export function planFacts(plan: AnyPlan): PlanFacts {
  const { budgets, bounds, shape } = plan;
  const { step_ns, bound_ns, bottleneck } = stepPrediction(plan);
  const tier = ({ budget, arena, reserve, total }: TierMemory): TierMemory => {
    return { budget, arena, reserve, total };
  };
  const links = bounds.filter(({ program }) => program === cycleOf(plan));
  return {
    plan_id: plan.plan_id,
    fits: true,
    memory: { ...(budgets.vram ? { vram: tier(budgets.vram) } : {}), ram: tier(budgets.ram) },
    traffic: Object.fromEntries(links.map(({ link, moved, bound }) => [link, { bytes: moved, bound }])),
    time: { step_ns, bound_ns, bottleneck },
    shape: {
      micro_batches: shape.micro_batches,
      tokens_per_step: shape.tokens_per_step,
      resident_units: shape.resident_units,
      ring: shape.ring,
    },
  };
}

/** The same keys for a recipe that does not fit: `memory` is the least that would, and the rest is unknown. */
export interface UnfittingFacts {
  readonly plan_id: null;
  readonly fits: false;
  readonly memory: PlanFacts["memory"];
  readonly traffic: null;
  readonly time: null;
  readonly shape: null;
  readonly diagnostics: readonly Diagnostic[];
}

export function unfittingFacts(
  memory: PlanFacts["memory"],
  diagnostics: readonly Diagnostic[],
): UnfittingFacts {
  return { plan_id: null, fits: false, memory, traffic: null, time: null, shape: null, diagnostics };
}

export function stepPrediction(plan: AnyPlan): AnyPlan["predictions"][number] {
  const prediction = plan.predictions.find(({ program }) => program === cycleOf(plan));
  invariant(prediction, "a plan predicts the step that it repeats");
  return prediction;
}

/** How weights reach the memory that computes. */
export interface WeightTraffic {
  readonly id: string;
  readonly bytes: number;
  /** `resident`: loaded once per run; `streamed`: in turns; `gathered`: row by row, as tokens ask for them. */
  readonly kept: "resident" | "streamed" | "gathered";
  /** Times per training step that they come into the memory that computes. */
  readonly loads: number;
  /** Times per training step that they come from disk. */
  readonly reads: number;
  /** Adapter values that belong to them. */
  readonly parameters: number;
}

/** Every unit in order of use, then the embedding table where it is no unit. */
export function weightTraffic(plan: AnyPlan): readonly WeightTraffic[] {
  const read = new Map<string, number>();
  const copied = new Map<string, number>();
  for (const one of programsOf(plan)[cycleOf(plan)]!.steady) {
    if (one.kind === "read") add(read, one.unit, one.bytes);
    if (one.kind === "copy" && one.unit !== null) add(copied, one.unit, one.bytes);
  }
  const parameters = new Map<string, number>();
  for (const { unit, shape } of plan.parameters) add(parameters, unit, elements(shape));
  const loaded = plan.shape.tiers === "disk-ram" ? read : copied;
  const units = plan.units.map((unit): WeightTraffic => {
    const { id } = unit;
    // Without the padding between tensors, which is never moved from disk.
    const payload = unit.parts.reduce((sum, part) => sum + part.bytes, 0);
    const times = (moved: ReadonlyMap<string, number>, whole: number) =>
      Math.round((moved.get(id) ?? 0) / whole);
    const loads = times(loaded, loaded === read ? payload : unit.bytes);
    return {
      id,
      bytes: unit.bytes,
      kept: loads > 0 ? "streamed" : "resident",
      loads,
      reads: times(read, payload),
      parameters: parameters.get(id) ?? 0,
    };
  });
  const inUnits = new Set(plan.units.flatMap(({ parts }) => parts.map(({ tensor }) => tensor)));
  const gathered = plan.tensors
    .filter(({ name, role }) => role === "embedding" && !inUnits.has(name))
    .map(({ bytes }): WeightTraffic => {
      return { id: "embedding", bytes, kept: "gathered", loads: 0, reads: 0, parameters: 0 };
    });
  return [...units, ...gathered];
}

export function elements(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

/** Bytes of an arena by what they hold. `step` is everything that lives for a part of a step only. */
export interface ArenaUse {
  readonly weights: number;
  readonly adapter: number;
  /** Keys and values of a generation. */
  readonly caches: number;
  readonly step: number;
}

export function arenaUse(plan: AnyPlan, arena: ArenaName): ArenaUse {
  const bytes = (wanted: readonly string[]) =>
    plan.buffers
      .filter(
        ({ arena: own, lifetime, holds }) => own === arena && lifetime === null && wanted.includes(holds),
      )
      .reduce((sum, buffer) => sum + buffer.bytes, 0);
  const weights = bytes(["weights"]);
  const adapter = bytes(["adapter", "gradient", "optimizer"]);
  const caches = bytes(["cache"]);
  const size = arena === "ram" ? plan.budgets.ram.arena : (plan.budgets.vram?.arena ?? 0);
  return { weights, adapter, caches, step: size - weights - adapter - caches };
}

function add(sums: Map<string, number>, key: string, amount: number): void {
  sums.set(key, (sums.get(key) ?? 0) + amount);
}

/** The adapter's shape in words; ranks as its parameters have them. */
export function adapterShape({ adapter, parameters }: Plan): {
  readonly kind: string;
  readonly ranks: string;
  readonly linears: readonly string[];
} {
  const ranks = parameters.filter(({ name }) => name.includes(".lora_A.")).map(({ shape }) => shape[0]!);
  const [least, most] = [Math.min(...ranks), Math.max(...ranks)];
  return {
    kind: adapter.rslora ? "rank-stabilised LoRA" : "LoRA",
    ranks: least === most ? `${least}` : `${least} to ${most}`,
    linears: linearsOf(adapter.targets),
  };
}

/** Names of linears, each once: a path stands for a module that not all layers adapt. */
function linearsOf(targets: readonly string[]): readonly string[] {
  const some = new Set(targets.filter((target) => target.includes(".")).map(lastPart));
  const all = targets.filter((target) => !target.includes("."));
  return [...all, ...[...some].map((linear) => `${linear} (some layers)`)];
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf(".") + 1);
}
