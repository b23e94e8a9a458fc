/**
 * Divides the room that a floor leaves between pinned weights and weights in ram (less traffic) and kept activations
 * (less recomputation), by the closed form.
 */
import type { ArenaName } from "../../schemas/plan.ts";
import type { KeptCounts } from "../ir/kept.ts";
import type { Shape } from "../ir/schedule.ts";
import type { Variant } from "../ir/variants.ts";
import type { Estimate, Estimator, Traffic } from "./estimate.ts";
import { blockClasses, bytesOfCounts } from "./fill-memory.ts";
import type { RamChoice } from "./fill-ram.ts";
import { type Holding, holdingOf, pinsWithin, ramBytes, withHolding } from "./holding.ts";
import { type KeptActivations, NOTHING_KEPT } from "./kept-activations.ts";

/** Bytes that each tier has to spare. */
export type Room = Readonly<Record<ArenaName, number>>;

export interface Division {
  readonly floor: Shape;
  readonly room: Room;
  /** How many forwards may keep their activations. */
  readonly most: KeptCounts;
  readonly ramChoice: RamChoice;
}

interface Divided {
  readonly holding: Holding;
  readonly kept: KeptCounts;
  readonly estimate: Estimate;
}

/** The best division. */
export function divide(
  variant: Variant,
  estimator: Estimator,
  division: Division,
): { readonly shape: Shape; readonly estimate: Estimate } {
  const divider = new Divider(variant, estimator, division);
  const { holding, kept, estimate } = divider.best();
  const shape = withHolding(blockClasses(variant.units), division.floor, holding);
  return { shape: { ...shape, ...kept }, estimate };
}

/** Numbers of forwards that are tried before those around the best. */
const TRIED_IN_RAM = 16;

/** Activations cross the link twice: the step has to be this much shorter for it. */
const WORTH_CROSSING = 1.01;

class Divider {
  readonly #variant: Variant;
  readonly #estimator: Estimator;
  readonly #division: Division;
  readonly #activations: KeptActivations;
  readonly #classes: ReturnType<typeof blockClasses>;
  /** Bytes where kernels compute. */
  readonly #bytes: number;
  /** What was weighed last: mostly the same weights stay when one block more keeps its activations. */
  #latest: { readonly holding: Holding; readonly traffic: Traffic } | undefined;

  constructor(variant: Variant, estimator: Estimator, division: Division) {
    this.#variant = variant;
    this.#estimator = estimator;
    this.#division = division;
    this.#activations = estimator.activations;
    this.#classes = blockClasses(variant.units);
    const { floor, room } = division;
    this.#bytes = floor.tiers === "disk-ram" ? room.ram : room.vram;
  }

  /** Whole blocks keep their activations, whatever is left serves single forwards, and then ram. */
  best(): Divided {
    const { floor, most } = this.#division;
    const { perBlock } = this.#activations;
    let best = this.#divided(0);
    for (let keep = perBlock; keep <= Math.min(this.#activations.all, most.keep); keep += perBlock) {
      if (this.#activations.bytes(keep) > this.#bytes) break;
      best = this.#better(best, this.#divided(keep));
    }
    const left = this.#leftBy(best.holding, best.kept);
    const { keep: whole } = best.kept;
    const fitting = this.#activations.within(this.#activations.bytes(whole) + left);
    const keep = Math.min(fitting, most.keep, whole + perBlock - 1);
    if (keep > whole) best = this.#better(best, this.#with(best.holding, { keep, keepInRam: 0 }));
    if (floor.tiers === "disk-ram" || most.keepInRam === 0) return best;
    const crossing = this.#keepingInRam(best);
    return crossing.estimate.step_ns * WORTH_CROSSING > best.estimate.step_ns ? best : crossing;
  }

  /** With so many forwards that keep their activations where they compute, and nothing kept in ram. */
  #divided(keep: number): Divided {
    const { floor, room } = this.#division;
    const pinned = pinsWithin(this.#classes, floor, this.#bytes - this.#activations.bytes(keep));
    const before = this.#latest?.holding;
    const same = before?.pinned.every((count, index) => count === pinned[index]);
    return this.#with(before && same ? before : this.#holding(pinned, room.ram), { keep, keepInRam: 0 });
  }

  /**
   * With the same weights, but with activations in ram that these do not need: a unit of weights spares more there. What
   * passes through on the way takes the place of activations that stayed.
   */
  #keepingInRam({ holding, kept }: Divided): Divided {
    const { room } = this.#division;
    const free = this.#leftBy(holding, NOTHING_KEPT) - this.#activations.passingBytes;
    const keep = Math.min(kept.keep, this.#activations.within(free));
    const left = room.ram - ramBytes(this.#variant.units, this.#classes, holding);
    const traffic = this.#trafficOf(holding);
    const keepInRam = free < 0 ? 0 : this.#bestInRam(traffic, keep, left);
    return this.#with(holding, { keep, keepInRam });
  }

  /**
   * How many forwards keep their activations in `left` bytes of ram. Each spares work until a link has more to do; with
   * stages of two sizes neither bytes nor time go evenly with their number, so that numbers are tried all along the way,
   * and then around the best.
   */
  #bestInRam(traffic: Traffic, keep: number, left: number): number {
    const limit = Math.min(this.#activations.all - keep, this.#division.most.keepInRam);
    const ns = (keepInRam: number) => this.#estimator.estimate(traffic, { keep, keepInRam }).step_ns;
    let best = 0;
    let least = ns(0);
    const consider = (count: number) => {
      if (this.#activations.of({ keep, keepInRam: count }).ramBytes > left) return;
      const taken = ns(count);
      if (taken < least) [best, least] = [count, taken];
    };
    let [first, last, step] = [1, limit, Math.ceil(limit / TRIED_IN_RAM)];
    for (; step > 0; step = step === 1 ? 0 : Math.ceil((2 * step) / TRIED_IN_RAM)) {
      for (let count = first; count < last; count += step) consider(count);
      if (last > 0) consider(last);
      [first, last] = [Math.max(1, best - step), Math.min(limit, best + step)];
    }
    return best;
  }

  #holding(pinned: Holding["pinned"], ram: number): Holding {
    const { floor, ramChoice } = this.#division;
    return holdingOf(this.#variant.units, this.#classes, floor, pinned, { bytes: ram, choice: ramChoice });
  }

  #with(holding: Holding, kept: KeptCounts): Divided {
    return { holding, kept, estimate: this.#estimator.estimate(this.#trafficOf(holding), kept) };
  }

  #trafficOf(holding: Holding): Traffic {
    if (this.#latest?.holding !== holding) {
      this.#latest = { holding, traffic: this.#estimator.traffic(this.#division.floor, holding) };
    }
    return this.#latest.traffic;
  }

  #better(best: Divided, other: Divided): Divided {
    const allowed = this.#division.ramChoice !== "all" || !readsBlocks(other.holding);
    return allowed && isBetter(other.estimate, best.estimate) ? other : best;
  }

  /** Bytes where kernels compute that a division leaves. */
  #leftBy({ pinned }: Holding, { keep }: KeptCounts): number {
    const { ring } = this.#division.floor;
    return this.#bytes - bytesOfCounts(this.#classes, pinned, ring) - this.#activations.bytes(keep);
  }
}

/** Whether vram streams blocks that ram does not keep. */
function readsBlocks({ streaming, ram }: Holding): boolean {
  return streaming.some((count, index) => count > (ram?.kept[index] ?? 0));
}

/** Less time; the same time with less traffic. */
function isBetter(a: Estimate, b: Estimate): boolean {
  return a.step_ns < b.step_ns || (a.step_ns === b.step_ns && a.moved < b.moved);
}
