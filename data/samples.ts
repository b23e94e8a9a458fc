/**
 * Many encoded samples: how long each is and where it stood, and its tokens when they are asked for, from memory here or
 * from the token cache (`cache.ts`).
 */
import type { EncodedSample } from "./encode.ts";

/** One sample; the arrays are views that hold until the next one is read. */
export interface SampleTokens {
  readonly tokens: Int32Array;
  /** As long as `tokens`, not shifted; −100 where nothing is learned. */
  readonly labels: Int32Array;
}

export interface Samples {
  readonly count: number;
  /** `count + 1` entries: sample `i` has `offsets[i + 1] − offsets[i]` tokens. */
  readonly offsets: Uint32Array;
  /** Line of each sample in its file, from 1. */
  readonly lines: Uint32Array;
  /** Samples in which a token spans the border of a trained part. */
  readonly mergedBoundaries: number;
  read(i: number): SampleTokens;
}

/** Number of tokens of sample `i`. */
export function sampleLength(samples: Samples, i: number): number {
  return samples.offsets[i + 1]! - samples.offsets[i]!;
}

/** Collects samples in memory: 8 bytes a token, however many samples there are. */
export class SamplesBuilder {
  #tokens: Int32Array = new Int32Array(1 << 16);
  #labels: Int32Array = new Int32Array(1 << 16);
  #used = 0;
  readonly #offsets: number[] = [0];
  readonly #lines: number[] = [];
  #mergedBoundaries = 0;

  add(sample: EncodedSample, line: number): void {
    const end = this.#used + sample.ids.length;
    if (end > this.#tokens.length) {
      this.#tokens = grown(this.#tokens, end);
      this.#labels = grown(this.#labels, end);
    }
    this.#tokens.set(sample.ids, this.#used);
    this.#labels.set(sample.labels, this.#used);
    this.#used = end;
    this.#offsets.push(end);
    this.#lines.push(line);
    if (sample.mergedBoundary) this.#mergedBoundaries++;
  }

  build(): Samples {
    const offsets = Uint32Array.from(this.#offsets);
    const [tokens, labels] = [this.#tokens, this.#labels];
    return {
      count: this.#lines.length,
      offsets,
      lines: Uint32Array.from(this.#lines),
      mergedBoundaries: this.#mergedBoundaries,
      read: (i) => {
        const range = [offsets[i], offsets[i + 1]] as const;
        return { tokens: tokens.subarray(...range), labels: labels.subarray(...range) };
      },
    };
  }
}

function grown(array: Int32Array, needed: number): Int32Array {
  const larger = new Int32Array(Math.max(needed, array.length * 2));
  larger.set(array);
  return larger;
}
