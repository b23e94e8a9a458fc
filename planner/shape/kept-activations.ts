/** What it takes and spares when forwards keep their activations instead of leaving them to be recomputed. */
import { Keeping, type KeptCounts, PASSING_ACTIVATIONS } from "../ir/kept.ts";
import type { Shape } from "../ir/schedule.ts";
import type { Variant } from "../ir/variants.ts";

export const NOTHING_KEPT: KeptCounts = { keep: 0, keepInRam: 0 };

/** What the forwards that keep theirs in ram take of it, and the time that all that keep theirs spare. */
export interface Keep {
  readonly ramBytes: number;
  /** Nanoseconds. */
  readonly spared: number;
}

/** The same for all shapes that have the same procedures. */
export function keptActivationsOf(variant: Variant, shape: Shape): KeptActivations {
  const { all } = variant.procedures(shape);
  const known = variant.keptActivations.get(all) ?? new KeptActivations(variant, shape);
  variant.keptActivations.set(all, known);
  return known;
}

export class KeptActivations {
  /** Forwards of a block in a step. */
  readonly perBlock: number;
  /** Bytes of the slots that activations pass through on their way to ram, and back. */
  readonly passingBytes: number;
  /** Of each block: of one forward the bytes, and the nanoseconds spared. */
  readonly #blocks: readonly { readonly bytes: number; readonly spared: number }[];
  /** Bytes of so many of the last forwards. */
  readonly #last: readonly number[];
  /** What was asked before; the division of memory asks for the same again and again. */
  readonly #known = new Map<number, Keep>();

  constructor(variant: Variant, shape: Shape) {
    const { perBlock, blocks } = variant.activations(shape);
    const cost = variant.costs(variant.procedures(shape).all);
    const spared = new Map<string, number>();
    this.#blocks = blocks.map(({ bytes, before, after }) => {
      const known = spared.get(before) ?? cost.run(before, "compute") - cost.run(after, "compute");
      spared.set(before, known);
      return { bytes, spared: known };
    });
    const last = [0];
    for (const { bytes } of this.#blocks.toReversed()) {
      for (let mb = 0; mb < perBlock; mb++) last.push(last.at(-1)! + bytes);
    }
    this.perBlock = perBlock;
    this.passingBytes = PASSING_ACTIVATIONS * Math.max(0, ...blocks.map(({ bytes }) => bytes));
    this.#last = last;
  }

  /** Forwards of a step. */
  get all(): number {
    return this.#last.length - 1;
  }

  /** Bytes of so many of the last forwards. */
  bytes(count: number): number {
    return this.#last[count]!;
  }

  of(kept: KeptCounts): Keep {
    const key = kept.keep * (this.all + 1) + kept.keepInRam;
    const known = this.#known.get(key) ?? this.#sumOf(kept);
    this.#known.set(key, known);
    return known;
  }

  #sumOf(kept: KeptCounts): Keep {
    const keeping = new Keeping(this.#blocks.length, this.perBlock, kept);
    const others = this.all - kept.keep;
    let ramBytes = 0;
    let spared = 0;
    let before = 0;
    for (let index = kept.keepInRam > 0 ? 0 : others; index < this.all; index++) {
      const inRam = index < others ? keeping.inRamUpTo(index + 1) : before;
      if (inRam === before && index < others) continue;
      const block = this.#blocks[Math.floor(index / this.perBlock)]!;
      spared += block.spared;
      if (index < others) ramBytes += block.bytes;
      before = inRam;
    }
    return { ramBytes, spared };
  }

  /** How many of the last forwards fit so many bytes. */
  within(bytes: number): number {
    let [fit, beyond] = [0, this.all + 1];
    while (beyond - fit > 1) {
      const middle = (fit + beyond) >> 1;
      if (this.bytes(middle) <= bytes) fit = middle;
      else beyond = middle;
    }
    return fit;
  }
}
