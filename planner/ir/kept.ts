/**
 * Which forwards of a step, each of a unit with a micro-batch, keep their activations for their backward, and where. The
 * last ones keep theirs where kernels compute, as those are wanted back first. Those in ram are spread evenly over all
 * before, and pass through two slots each way: a copy has the time between two of them to be hidden in.
 */
import type { Shape } from "./schedule.ts";

export type KeptCounts = Pick<Shape, "keep" | "keepInRam">;

/** Slots where kernels compute that activations pass through on their way to ram, and back. */
export const PASSING_ACTIVATIONS = 2;

export class Keeping {
  /** Forwards of a unit. */
  readonly #perUnit: number;
  /** Those that do not keep theirs where they compute. */
  readonly #others: number;
  readonly #inRam: number;

  constructor(units: number, perUnit: number, { keep, keepInRam }: KeptCounts) {
    this.#perUnit = perUnit;
    this.#others = units * perUnit - keep;
    this.#inRam = keepInRam;
  }

  /** `null`: the activations are recomputed. */
  of(unit: number, mb: number): "compute" | "ram" | null {
    const index = unit * this.#perUnit + mb;
    if (index >= this.#others) return "compute";
    return this.inRamUpTo(index + 1) > this.inRamUpTo(index) ? "ram" : null;
  }

  /** Of one in ram: the slot that the forward leaves its activations in. */
  slotUp(unit: number, mb: number): number {
    return this.inRamUpTo(unit * this.#perUnit + mb) % PASSING_ACTIVATIONS;
  }

  /** The slot that the backward finds them in; it comes to units from the last to the first, and in each by micro-batch. */
  slotDown(unit: number, mb: number): number {
    const [first, next] = [unit * this.#perUnit, (unit + 1) * this.#perUnit];
    const before = this.#inRam - this.inRamUpTo(next) + this.inRamUpTo(first + mb) - this.inRamUpTo(first);
    return before % PASSING_ACTIVATIONS;
  }

  /** How many of the first forwards keep theirs in ram. */
  inRamUpTo(count: number): number {
    return this.#others === 0 ? 0 : Math.floor((Math.min(count, this.#others) * this.#inRam) / this.#others);
  }
}
