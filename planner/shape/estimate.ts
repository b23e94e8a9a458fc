/**
 * The closed form of a step's time. A step is a few phases, one after the other: the way up through the blocks, the head,
 * the way back down; a step of a generation is one. In each every lane works without a pause, and the longest decides,
 * because all of them run side by side; before them the first embedding rows, and behind them the host's optimizer, which
 * nothing can overlap. It ranks candidates; the simulator decides.
 */
import { dtypeBytes } from "../../schemas/ops/define-op.ts";
import { gatherNs, linkNs } from "../cost/duration.ts";
import type { Rolled, Shape, Task } from "../ir/schedule.ts";
import { HEAD_CLASS, tensorByName } from "../ir/units.ts";
import { passingBytes } from "../ir/values.ts";
import type { Variant } from "../ir/variants.ts";

export interface Estimate {
  readonly step_ns: number;
  /** Bytes over all links. */
  readonly moved: number;
}

const PHASES = ["up", "head", "down"] as const;
type Phase = (typeof PHASES)[number];
type Bytes = Record<"disk" | "h2d" | "d2h", number>;

/** What a phase does whatever stays in memory. */
interface Work {
  /** Nanoseconds. */
  compute: number;
  readonly bytes: Bytes;
}

/** What a phase's links do. */
interface PhaseTraffic {
  /** Bytes over all of them. */
  readonly moved: number;
  /** Nanoseconds of the busiest. */
  readonly links: number;
  /** Nanoseconds that computing waits for places of ram. */
  readonly hurried: number;
}

export type Traffic = Readonly<Record<Phase, PhaseTraffic>>;

/** Estimates shapes that grow from one floor by pins and kept activations. */
export class Estimator {
  readonly #variant: Variant;
  readonly #fixed: Readonly<Record<Phase, Work>>;
  /** Nanoseconds before and behind all phases. */
  readonly #ends: number;
  /** Runs of the work's programs in a step. */
  readonly #rounds: number;
  /** Nanoseconds that keeping the activations of the last blocks saves, by their number. */
  readonly #spared: readonly number[];

  /** `floor` has no pins and keeps nothing; its work is counted task by task. */
  constructor(variant: Variant, floor: Rolled) {
    const { units } = variant;
    this.#variant = variant;
    const { shape } = floor;
    const procedures = variant.procedures({ ...shape, keep: 1 }).all;
    const cost = variant.costs(procedures);
    const head = new Set([units.norm, ...units.head.map(({ unit }) => unit)]);
    const work = (): Work => ({ compute: 0, bytes: { disk: 0, h2d: 0, d2h: 0 } });
    const fixed = { up: work(), head: work(), down: work() };
    let ends = 0;
    for (const { program, times } of variant.work(shape)) {
      const gathers: number[] = [];
      const tasks = floor.parts[program]!.steady;
      const inHead = (task: Task) => task.kind === "run" && task.unit !== null && head.has(task.unit);
      const [first, last] = [tasks.findIndex(inHead), tasks.findLastIndex(inHead)];
      tasks.forEach((task, index) => {
        const { [index < first ? "up" : index <= last ? "head" : "down"]: phase } = fixed;
        if (task.kind === "run") {
          if (task.lane === "host") ends += times * cost.run(task.procedure, "host");
          else phase.compute += times * cost.run(task.procedure, "compute");
        } else if (task.kind === "gather") {
          gathers.push(rowsNs(variant, task.indices.bytes / dtypeBytes.i32));
        } else if (!movesWeights(task)) {
          phase.bytes[task.lane] += times * bytesOf(task);
        }
      });
      const block = fixed.up.compute / times / (units.blocks.length * Math.max(1, gathers.length));
      gathers.forEach((ns, index) => {
        ends += times * (index === 0 ? ns : Math.max(0, ns - block));
      });
    }
    this.#fixed = fixed;
    this.#ends = ends;
    this.#rounds = variant.work(shape).reduce((sum, { times }) => sum + times, 0);
    const saving = units.graphNames.map((name) => {
      const recomputation = variant.recomputation(name, shape);
      if (recomputation === null) return 0;
      const { before, after, times } = recomputation;
      const ns = (procedure: string) => cost.run(procedure, "compute");
      return times * (ns(before) - ns(after));
    });
    const spared = [0];
    for (const { graph } of variant.inputs.model.blocks.toReversed())
      spared.push(spared.at(-1)! + saving[graph]!);
    this.#spared = spared;
  }

  /** What the places of weights and block inputs make the links do; it does not depend on what is kept. */
  traffic(shape: Shape): Traffic {
    const device = this.#streamed(new Set(shape.pinned), shape.ring);
    const twoTiers = shape.tiers === "disk-ram";
    const held = this.#heldInTurn(shape);
    const read = twoTiers
      ? device
      : this.#streamed(new Set([...shape.pinned, ...shape.ramPinned]), shape.ring);
    const { order, inputs } = this.#variant;
    const phaseOf = (phase: Phase): PhaseTraffic => {
      const { bytes } = this.#fixed[phase];
      const weights = (streamed: Streamed, less: number) => {
        if (phase === "head") return streamed.head;
        if (order === "round") return phase === "up" ? streamed.blocks - less : 0;
        return (streamed.blocks - less) / 2;
      };
      const all = {
        disk: bytes.disk + weights(read, held),
        h2d: bytes.h2d + (twoTiers ? 0 : weights(device, 0)),
        d2h: bytes.d2h,
      };
      const lanes = (["disk", "h2d", "d2h"] as const).map((lane) => linkNs(lane, all[lane], inputs.hardware));
      return {
        moved: all.disk + all.h2d + all.d2h,
        links: Math.max(...lanes),
        hurried: this.#hurried(phase, shape),
      };
    };
    return { up: phaseOf("up"), head: phaseOf("head"), down: phaseOf("down") };
  }

  /** Of a step with that traffic, in which the last `keep` blocks keep their activations. */
  estimate(traffic: Traffic, keep: number): Estimate {
    let step = this.#ends;
    let moved = 0;
    for (const phase of PHASES) {
      const { links, hurried, moved: bytes } = traffic[phase];
      const work = this.#fixed[phase].compute - (phase === "down" ? this.#spared[keep]! : 0);
      step += Math.max(work + hurried, links);
      moved += bytes;
    }
    return { step_ns: Math.round(step), moved };
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

  /**
   * Nanoseconds that computing waits at the end of a way through the blocks, where units take turns in ram, for what
   * vram's slots hold at the turn: it passes by ram, and comes in a hurry, while the other slots are computed on, unless
   * it may wait there.
   */
  #hurried(phase: Phase, { pinned, ring, ramRings, passing }: Shape): number {
    const { units, inputs } = this.#variant;
    if (phase === "head" || ramRings.length === 0) return 0;
    const resident = new Set(pinned);
    let bytes = -passing * passingBytes(units);
    let slots = 0;
    for (const [unitClass, members] of units.classes) {
      if (unitClass === HEAD_CLASS) continue;
      const held = Math.min(ring, members.filter((unit) => !resident.has(unit)).length);
      bytes += held * units.byId.get(members[0]!)!.bytes;
      slots += held;
    }
    const meanwhile = ((slots - 1) / units.blocks.length) * this.#fixed[phase].compute;
    return Math.max(0, linkNs("disk", Math.max(0, bytes), inputs.hardware) - meanwhile);
  }

  /** Bytes of weights loaded in a step; the head's once a program. */
  #streamed(pinned: ReadonlySet<string>, ring: number): Streamed {
    const { units } = this.#variant;
    const streamed = { blocks: 0, head: 0 };
    for (const [unitClass, members] of units.classes) {
      const streaming = members.filter((unit) => !pinned.has(unit));
      const size = (unit: string) => units.byId.get(unit)!.bytes;
      if (unitClass === HEAD_CLASS)
        streamed.head += this.#rounds * streaming.reduce((sum, unit) => sum + size(unit), 0);
      else if (streaming.length > 0)
        streamed.blocks += this.#rounds * this.#variant.loads(streaming.length, ring) * size(streaming[0]!);
    }
    return streamed;
  }
}

/** Bytes of weights that a link brings in a step. */
interface Streamed {
  readonly blocks: number;
  readonly head: number;
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
