/**
 * The closed form of a step's time: every lane works without a pause, and the longest decides, because all of them run
 * side by side; before them the first embedding rows, and behind them the host's optimizer, which nothing can overlap.
 * It ranks candidates; the simulator decides.
 */
import { dtypeBytes } from "../../schemas/ops/define-op.ts";
import { gatherNs, linkNs } from "../cost/duration.ts";
import type { Rolled, Shape, Task } from "../ir/schedule.ts";
import { HEAD_CLASS, tensorByName } from "../ir/units.ts";
import type { Variant } from "../ir/variants.ts";

/** Streaming is hidden in practice only when its lane has this much time to spare. */
const MARGIN = 1.1;

export interface Estimate {
  readonly step_ns: number;
  /** Bytes over all links. */
  readonly moved: number;
}

/** Estimates shapes that grow from one floor by pins and kept activations. */
export class Estimator {
  readonly #variant: Variant;
  readonly #fixed: { readonly compute: number; readonly ends: number; readonly bytes: Bytes };
  /** Runs of the work's programs in a step. */
  readonly #rounds: number;
  /** Nanoseconds that keeping a block's activations saves, by graph. */
  readonly #saving: readonly number[];

  /** `floor` has no pins and keeps nothing; its work is counted task by task. */
  constructor(variant: Variant, floor: Rolled) {
    const { units } = variant;
    this.#variant = variant;
    const { shape } = floor;
    const procedures = variant.procedures({ ...shape, keep: 1 }).all;
    const cost = variant.costs(procedures);
    let compute = 0;
    let ends = 0;
    const bytes: Bytes = { disk: 0, h2d: 0, d2h: 0 };
    for (const { program, times } of variant.work(shape)) {
      let rows = 0;
      for (const task of floor.parts[program]!.steady) {
        if (task.kind === "run") {
          if (task.lane === "host") ends += times * cost.run(task.procedure, "host");
          else compute += times * cost.run(task.procedure, "compute");
        } else if (task.kind === "gather") {
          rows ||= rowsNs(variant, task.indices.bytes / dtypeBytes.i32);
        } else if (!movesWeights(task)) {
          bytes[task.lane] += times * bytesOf(task);
        }
      }
      ends += times * rows;
    }
    this.#fixed = { compute, ends, bytes };
    this.#rounds = variant.work(shape).reduce((sum, { times }) => sum + times, 0);
    this.#saving = units.graphNames.map((name) => {
      const recomputation = variant.recomputation(name, shape);
      if (recomputation === null) return 0;
      const { before, after, times } = recomputation;
      const ns = (procedure: string) => cost.run(procedure, "compute");
      return times * (ns(before) - ns(after));
    });
  }

  estimate(shape: Shape): Estimate {
    const { inputs } = this.#variant;
    const { blocks } = inputs.model;
    const kept = blocks.slice(blocks.length - shape.keep);
    const compute = this.#fixed.compute - kept.reduce((sum, { graph }) => sum + this.#saving[graph]!, 0);
    const device = this.#streamed(new Set(shape.pinned), shape.ring);
    const twoTiers = shape.tiers === "disk-ram";
    const inMemory = new Set([...shape.pinned, ...shape.ramPinned]);
    const disk = twoTiers ? device : this.#streamed(inMemory, shape.ring) - this.#heldInTurn(shape);
    const bytes = {
      disk: this.#fixed.bytes.disk + disk,
      h2d: this.#fixed.bytes.h2d + (twoTiers ? 0 : device),
      d2h: this.#fixed.bytes.d2h,
    };
    const links = (["disk", "h2d", "d2h"] as const).map((lane) => linkNs(lane, bytes[lane], inputs.hardware));
    return {
      step_ns: Math.round(Math.max(compute, MARGIN * Math.max(...links)) + this.#fixed.ends),
      moved: bytes.disk + bytes.h2d + bytes.d2h,
    };
  }

  /** Bytes that places of ram save in a step: two reads each, one for those at the ends of a chain. */
  #heldInTurn({ pinned, ring, ramRings }: Shape): number {
    const { units } = this.#variant;
    const resident = new Set(pinned);
    return ramRings.reduce((sum, { unitClass, from, to, slots }) => {
      const streaming = units.classes.get(unitClass)!.filter((unit) => !resident.has(unit)).length;
      const twice = Math.min(slots, Math.max(0, streaming - 2 * ring));
      return sum + (twice + Math.min(slots, streaming)) * (to - from);
    }, 0);
  }

  /** Bytes of weights loaded in a step; the head's once a program. */
  #streamed(pinned: ReadonlySet<string>, ring: number): number {
    const { units } = this.#variant;
    let bytes = 0;
    for (const [unitClass, members] of units.classes) {
      const streaming = members.filter((unit) => !pinned.has(unit));
      const size = (unit: string) => units.byId.get(unit)!.bytes;
      if (unitClass === HEAD_CLASS) bytes += streaming.reduce((sum, unit) => sum + size(unit), 0);
      else if (streaming.length > 0)
        bytes += this.#variant.loads(streaming.length, ring) * size(streaming[0]!);
    }
    return this.#rounds * bytes;
  }
}

/** Nanoseconds that the first micro-batch waits for its embedding rows. */
function rowsNs({ inputs }: Variant, rows: number): number {
  const { bytes, shape } = tensorByName(inputs, inputs.model.embedding);
  return gatherNs({ rows, bytes: (rows * bytes) / shape[0]!, table: bytes }, inputs.hardware);
}

type Bytes = Record<"disk" | "h2d" | "d2h", number>;

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
