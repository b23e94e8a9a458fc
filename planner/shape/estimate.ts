/**
 * The closed form of a step's time. A step is a few phases, one after the other: the way up through the blocks, the head,
 * the way back down; a step of a generation is one. In each every lane works without a pause, and the longest decides,
 * because all of them run side by side; before them the first embedding rows, and behind them the host's optimizer, which
 * nothing can overlap. It ranks candidates; the simulator decides.
 */
import { dtypeBytes } from "../../schemas/ops/define-op.ts";
import { gatherNs, linkNs } from "../cost/duration.ts";
import type { Rolled, Shape, Task } from "../ir/schedule.ts";
import { tensorByName } from "../ir/units.ts";
import { passingBytes } from "../ir/values.ts";
import type { Variant } from "../ir/variants.ts";
import { type BlockClass, blockClasses, type Counts } from "./fill-memory.ts";
import type { Holding } from "./holding.ts";

export interface Estimate {
  readonly step_ns: number;
  /** Bytes over all links. */
  readonly moved: number;
}

const LINKS = ["disk", "h2d", "d2h"] as const;
const PHASES = ["up", "head", "down"] as const;
type Phase = (typeof PHASES)[number];
type Bytes = Record<(typeof LINKS)[number], number>;

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

export interface Traffic extends Readonly<Record<Phase, PhaseTraffic>> {
  /** Nanoseconds before and behind all phases. */
  readonly ends: number;
}

/** Estimates shapes that grow from one floor by pins, a resident table among them, and kept activations. */
export class Estimator {
  readonly #variant: Variant;
  readonly #classes: readonly BlockClass[];
  /** Of a place of ram that units pass through. */
  readonly #passingBytes: number;
  readonly #fixed: Readonly<Record<Phase, Work>>;
  /** Nanoseconds before and behind all phases, without embedding rows from disk. */
  readonly #ends: number;
  /** What these add, and how many of the bytes of the way up are theirs. */
  readonly #rows: { readonly ends: number; readonly h2d: number };
  /** Runs of the work's programs in a step. */
  readonly #rounds: number;
  /** Nanoseconds that keeping the activations of the last blocks saves, by their number. */
  readonly #spared: readonly number[];

  /** `floor` has no pins and keeps nothing; its work is counted task by task. */
  constructor(variant: Variant, floor: Rolled) {
    const { units } = variant;
    this.#variant = variant;
    this.#classes = blockClasses(units);
    this.#passingBytes = passingBytes(units);
    const { shape } = floor;
    const procedures = variant.procedures({ ...shape, keep: 1 }).all;
    const cost = variant.costs(procedures);
    const head = new Set([units.norm, ...units.head.map(({ unit }) => unit)]);
    const work = (): Work => ({ compute: 0, bytes: { disk: 0, h2d: 0, d2h: 0 } });
    const fixed = { up: work(), head: work(), down: work() };
    let ends = 0;
    const rows = { ends: 0, h2d: 0 };
    for (const { program, times } of variant.work(shape)) {
      const gathers: number[] = [];
      const gathered = new Set<string>();
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
          gathered.add(task.to.buffer);
        } else if (!movesWeights(task)) {
          phase.bytes[task.lane] += times * bytesOf(task);
          if (task.kind === "copy" && gathered.has(task.from.buffer)) rows.h2d += times * task.bytes;
        }
      });
      const block = fixed.up.compute / times / (units.blocks.length * Math.max(1, gathers.length));
      gathers.forEach((ns, index) => {
        rows.ends += times * (index === 0 ? ns : Math.max(0, ns - block));
      });
    }
    this.#fixed = fixed;
    this.#ends = ends;
    this.#rows = rows;
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

  /** What the links do where so much stays beyond a floor; it does not depend on what is kept. */
  traffic(floor: Shape, holding: Holding): Traffic {
    const { order, inputs, units } = this.#variant;
    const { streaming, head, ram } = holding;
    const spared = floor.embedding === "resident" ? this.#rows.h2d : 0;
    const near = ram?.kept ?? streaming.map(() => 0);
    const device = this.#blocksStreamed(streaming, floor.ring);
    const fromDisk = streaming.map((count, index) => count - near[index]!);
    const read = this.#blocksStreamed(fromDisk, floor.ring) - this.#heldInTurn(floor, holding);
    const headBytes = (chunks: readonly string[]) =>
      this.#rounds * chunks.reduce((sum, chunk) => sum + units.byId.get(chunk)!.bytes, 0);
    const headDevice = headBytes(head);
    const headRead = headDevice - headBytes(ram?.head ?? []);
    const phaseOf = (phase: Phase): PhaseTraffic => {
      const { bytes } = this.#fixed[phase];
      const weights = (ofBlocks: number, ofHead: number) => {
        if (phase === "head") return ofHead;
        if (order === "round") return phase === "up" ? ofBlocks : 0;
        return ofBlocks / 2;
      };
      const all = {
        disk: bytes.disk + weights(read, headRead),
        h2d: bytes.h2d - (phase === "up" ? spared : 0) + (ram === null ? 0 : weights(device, headDevice)),
        d2h: bytes.d2h,
      };
      const lanes = LINKS.map((lane) => linkNs(lane, all[lane], inputs.hardware));
      return {
        moved: all.disk + all.h2d + all.d2h,
        links: Math.max(...lanes),
        hurried: this.#hurried(phase, floor, holding),
      };
    };
    return {
      ends: this.#ends + (floor.embedding === "resident" ? 0 : this.#rows.ends),
      up: phaseOf("up"),
      head: phaseOf("head"),
      down: phaseOf("down"),
    };
  }

  /** Of a step with that traffic, in which the last `keep` blocks keep their activations. */
  estimate(traffic: Traffic, keep: number): Estimate {
    let step = traffic.ends;
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
  #heldInTurn({ ring }: Shape, { streaming, ram }: Holding): number {
    if (ram === null) return 0;
    return ram.rings.reduce((sum, { unitClass, from, to, slots }) => {
      const own = streaming[this.#classes.findIndex(({ name }) => name === unitClass)]!;
      const twice = Math.min(slots, Math.max(0, own - 2 * ring));
      return sum + (twice + Math.min(slots, own)) * (to - from);
    }, 0);
  }

  /**
   * Nanoseconds that computing waits at the end of a way through the blocks, where units take turns in ram, for what
   * vram's slots hold at the turn: it passes by ram, and comes in a hurry, while the other slots are computed on, unless
   * it may wait there.
   */
  #hurried(phase: Phase, { ring, passing }: Shape, { streaming, ram }: Holding): number {
    const { units, inputs } = this.#variant;
    if (phase === "head" || ram === null || ram.rings.length === 0) return 0;
    let bytes = -passing * this.#passingBytes;
    let slots = 0;
    this.#classes.forEach((one, index) => {
      const held = Math.min(ring, streaming[index]!);
      bytes += held * one.bytes;
      slots += held;
    });
    const meanwhile = ((slots - 1) / units.blocks.length) * this.#fixed[phase].compute;
    return Math.max(0, linkNs("disk", Math.max(0, bytes), inputs.hardware) - meanwhile);
  }

  /** Bytes of blocks loaded in a step when so many of each class take turns. */
  #blocksStreamed(streaming: Counts, ring: number): number {
    return this.#classes.reduce(
      (sum, { bytes }, index) => sum + this.#rounds * this.#variant.loads(streaming[index]!, ring) * bytes,
      0,
    );
  }
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
