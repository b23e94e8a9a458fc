/**
 * What a step of a floor does whatever stays in memory: counted in its schedule, or, as long as it has none, the part
 * that every schedule of it has.
 */
import { dtypeBytes } from "../../schemas/ops/define-op.ts";
import { gatherNs } from "../cost/duration.ts";
import type { Rolled, Shape, Task } from "../ir/schedule.ts";
import { tensorByName } from "../ir/units.ts";
import type { Variant } from "../ir/variants.ts";

export const LINKS = ["disk", "h2d", "d2h"] as const;
export type Link = (typeof LINKS)[number];
/** The way up through the blocks, the head, the way back down. */
export const PHASES = ["up", "head", "down"] as const;
export type Phase = (typeof PHASES)[number];

export interface PhaseWork {
  /** Nanoseconds. */
  compute: number;
  readonly bytes: Record<Link, number>;
}

export interface FloorWork {
  readonly phases: Readonly<Record<Phase, PhaseWork>>;
  /** Nanoseconds before and behind all phases, without embedding rows from disk. */
  readonly ends: number;
  /** Nanoseconds that these rows add, and how many of the way up's bytes, and nanoseconds of computation, are theirs. */
  readonly rows: { readonly ends: number; readonly h2d: number; readonly compute: number };
}

export function countWork(variant: Variant, { shape, parts }: Rolled): FloorWork {
  const { units } = variant;
  const cost = variant.costs(variant.procedures(shape).all);
  const head = new Set([units.norm, ...units.head.map(({ unit }) => unit)]);
  const phases = emptyPhases();
  const rows = { ends: 0, h2d: 0, compute: 0 };
  let ends = 0;
  for (const { program, times } of variant.work(shape)) {
    const gathers: number[] = [];
    const gathered = new Set<string>();
    const tasks = parts[program]!.steady;
    const inHead = (task: Task) => task.kind === "run" && task.unit !== null && head.has(task.unit);
    const [first, last] = [tasks.findIndex(inHead), tasks.findLastIndex(inHead)];
    tasks.forEach((task, index) => {
      const { [index < first ? "up" : index <= last ? "head" : "down"]: phase } = phases;
      if (task.kind === "run") {
        if (task.lane === "host") ends += times * cost.run(task.procedure, "host");
        else phase.compute += times * cost.run(task.procedure, "compute");
        if ("rows" in task.bind) rows.compute += times * cost.run(task.procedure, "compute");
      } else if (task.kind === "gather") {
        gathers.push(rowsNs(variant, task.indices.bytes / dtypeBytes.i32));
        gathered.add(task.to.buffer);
      } else if (!movesWeights(task)) {
        phase.bytes[task.lane] += times * bytesOf(task);
        if (task.kind === "copy" && gathered.has(task.from.buffer)) rows.h2d += times * task.bytes;
      }
    });
    const block = phases.up.compute / times / (units.blocks.length * Math.max(1, gathers.length));
    gathers.forEach((ns, index) => {
      rows.ends += times * (index === 0 ? ns : Math.max(0, ns - block));
    });
  }
  return { phases, ends, rows };
}

/** No more than `countWork` would find; `null` where the variant does not tell. */
export function leastWork(variant: Variant, shape: Shape): FloorWork | null {
  const least = variant.leastWork(shape);
  if (least === null) return null;
  const cost = variant.costs(variant.procedures(shape).all);
  const phases = emptyPhases();
  let ends = 0;
  for (const { when, procedure, times } of least.runs) {
    if (when === "end") ends += times * cost.run(procedure, "host");
    else phases[when].compute += times * cost.run(procedure, "compute");
  }
  phases.up.bytes.d2h += least.aside;
  phases.down.bytes.h2d += least.aside;
  const rows = { ends: rowsNs(variant, least.rows), h2d: 0, compute: 0 };
  return { phases, ends, rows };
}

function emptyPhases(): Record<Phase, PhaseWork> {
  const work = (): PhaseWork => ({ compute: 0, bytes: { disk: 0, h2d: 0, d2h: 0 } });
  return { up: work(), head: work(), down: work() };
}

/** Nanoseconds that embedding rows take; the first micro-batch waits for its, the others compute a block meanwhile. */
function rowsNs({ inputs }: Variant, rows: number): number {
  const { bytes, shape } = tensorByName(inputs, inputs.model.embedding);
  return gatherNs({ rows, bytes: (rows * bytes) / shape[0]!, table: bytes }, inputs.hardware);
}

function movesWeights(task: Task): boolean {
  return task.kind === "read" || (task.kind === "copy" && task.unit !== null);
}

function bytesOf(task: Exclude<Task, { kind: "run" | "gather" }>): number {
  switch (task.kind) {
    case "copy":
      return task.bytes;
    case "write":
      return task.from.bytes;
    case "read":
      return task.parts.reduce((sum, { bytes }) => sum + bytes, 0);
  }
}
