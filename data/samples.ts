/**
 * Many encoded samples in a few flat arrays: 8 bytes a token, however many samples there are.
 *
 * Sample `i` is `tokens[offsets[i] … offsets[i + 1])` with `labels` alongside (not shifted; −100 where nothing is
 * learned) and stood on line `lines[i]` of its file.
 */
import type { EncodedSample } from "./encode.ts";

export interface Samples {
  readonly count: number;
  readonly tokens: Int32Array;
  readonly labels: Int32Array;
  /** `count + 1` entries. */
  readonly offsets: Uint32Array;
  readonly lines: Uint32Array;
  /** Samples in which a token spans the border of a trained part. */
  readonly mergedBoundaries: number;
}

/** Number of tokens of sample `i`. */
export function sampleLength(samples: Samples, i: number): number {
  return samples.offsets[i + 1]! - samples.offsets[i]!;
}

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
    return {
      count: this.#lines.length,
      tokens: this.#tokens.subarray(0, this.#used),
      labels: this.#labels.subarray(0, this.#used),
      offsets: Uint32Array.from(this.#offsets),
      lines: Uint32Array.from(this.#lines),
      mergedBoundaries: this.#mergedBoundaries,
    };
  }
}

function grown(array: Int32Array, needed: number): Int32Array {
  const larger = new Int32Array(Math.max(needed, array.length * 2));
  larger.set(array);
  return larger;
}
