/**
 * The closed form of a step's time. A step is a few phases, one after the other: the way up through the blocks, the head,
 * the way back down; a step of a generation is one. In each every lane works without a pause, and the longest decides,
 * because all of them run side by side; before them the first embedding rows, and behind them the host's optimizer, which
 * nothing can overlap. It ranks candidates; the simulator decides.
 */
import { linkNs } from "../cost/duration.ts";
import type { KeptCounts } from "../ir/kept.ts";
import type { Shape } from "../ir/schedule.ts";
import { passingBytes } from "../ir/values.ts";
import type { Variant } from "../ir/variants.ts";
import { type BlockClass, blockClasses, type Counts } from "./fill-memory.ts";
import { type FloorWork, type Link, PHASES, type Phase } from "./floor-work.ts";
import type { Holding } from "./holding.ts";
import { type KeptActivations, keptActivationsOf } from "./kept-activations.ts";

export interface Estimate {
  readonly step_ns: number;
  /** The same without waits for places of ram: schedules hardly ever take less, and never much. */
  readonly least_ns: number;
  /** Bytes over all links. */
  readonly moved: number;
}

/** What a phase's links do. */
interface PhaseTraffic {
  /** Bytes over all of them. */
  readonly moved: number;
  /** Nanoseconds of each. */
  readonly links: Readonly<Record<Link, number>>;
  /** Nanoseconds that computing waits for places of ram. */
  readonly hurried: number;
}

export interface Traffic extends Readonly<Record<Phase, PhaseTraffic>> {
  /** Nanoseconds before and behind all phases. */
  readonly ends: number;
  /** Nanoseconds of the way up that a resident table spares. */
  readonly spared: number;
}

/** Estimates shapes that grow from one floor by pins, a resident table among them, and kept activations. */
export class Estimator {
  readonly #variant: Variant;
  readonly #classes: readonly BlockClass[];
  /** Of a place of ram that units pass through. */
  readonly #passingBytes: number;
  readonly #work: FloorWork;
  /** Runs of the work's programs in a step. */
  readonly #rounds: number;
  /** What keeping activations takes and spares. */
  readonly activations: KeptActivations;

  /** `floor` has no pins and keeps nothing. */
  constructor(variant: Variant, floor: Shape, work: FloorWork) {
    const { units } = variant;
    this.#variant = variant;
    this.#classes = blockClasses(units);
    this.#passingBytes = passingBytes(units);
    this.#work = work;
    this.activations = keptActivationsOf(variant, floor);
    this.#rounds = variant.work(floor).reduce((sum, { times }) => sum + times, 0);
  }

  /** What the links do where so much stays beyond a floor; it does not depend on what is kept. */
  traffic(floor: Shape, holding: Holding): Traffic {
    const { order, inputs, units } = this.#variant;
    const { streaming, head, ram } = holding;
    const isResident = floor.embedding === "resident";
    const spared = isResident ? this.#work.rows.h2d : 0;
    const near = ram?.kept ?? streaming.map(() => 0);
    const device = this.#blocksStreamed(streaming, floor.ring);
    const fromDisk = streaming.map((count, index) => count - near[index]!);
    const read = this.#blocksStreamed(fromDisk, floor.ring) - this.#heldInTurn(floor, holding);
    const headBytes = (chunks: readonly string[]) =>
      this.#rounds * chunks.reduce((sum, chunk) => sum + units.byId.get(chunk)!.bytes, 0);
    const headDevice = headBytes(head);
    const headRead = headDevice - headBytes(ram?.head ?? []);
    const phaseOf = (phase: Phase): PhaseTraffic => {
      const { bytes } = this.#work.phases[phase];
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
      const ns = (link: Link) => linkNs(link, all[link], inputs.hardware);
      return {
        moved: all.disk + all.h2d + all.d2h,
        links: { disk: ns("disk"), h2d: ns("h2d"), d2h: ns("d2h") },
        hurried: this.#hurried(phase, floor, holding),
      };
    };
    return {
      ends: this.#work.ends + (isResident ? 0 : this.#work.rows.ends),
      spared: isResident ? this.#work.rows.compute : 0,
      up: phaseOf("up"),
      head: phaseOf("head"),
      down: phaseOf("down"),
    };
  }

  /** Of a step with that traffic, in which so many forwards keep their activations. */
  estimate(traffic: Traffic, kept: KeptCounts): Estimate {
    const { hardware } = this.#variant.inputs;
    const { ramBytes: aside, spared } = this.activations.of(kept);
    let step = traffic.ends;
    let least = traffic.ends;
    let moved = 2 * aside;
    for (const phase of PHASES) {
      const { links, hurried, moved: bytes } = traffic[phase];
      const going = phase === "up" && aside > 0 ? linkNs("d2h", aside, hardware) : 0;
      const coming = phase === "down" && aside > 0 ? linkNs("h2d", aside, hardware) : 0;
      const busiest = Math.max(links.disk, links.h2d + coming, links.d2h + going);
      const less = { up: traffic.spared, head: 0, down: spared };
      const work = this.#work.phases[phase].compute - less[phase];
      step += Math.max(work + hurried, busiest);
      least += Math.max(work, busiest);
      moved += bytes;
    }
    return { step_ns: Math.round(step), least_ns: Math.floor(least), moved };
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
    const meanwhile = ((slots - 1) / units.blocks.length) * this.#work.phases[phase].compute;
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
