/**
 * Samples out of a token cache whose checksum was right, one at a time through a small window: reading them in order
 * costs a system call every few dozen samples, reading them in any order one each.
 *
 * The file is opened for each window, so that nothing has to be closed; one that has vanished meanwhile is an error.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import type { SampleTokens } from "./samples.ts";

const WORD = Int32Array.BYTES_PER_ELEMENT;
const WINDOW_WORDS = (64 << 10) / WORD;

export class TokenReader {
  readonly #file: string;
  readonly #start: number;
  readonly #offsets: Uint32Array;
  /** Words of the file from word `#first` after `#start` on. */
  #window = new Int32Array(0);
  #first = 0;

  /** Sample 0 begins at byte `start`; `offsets` are those of {@link Samples}. */
  constructor(file: string, start: number, offsets: Uint32Array) {
    this.#file = file;
    this.#start = start;
    this.#offsets = offsets;
  }

  read(i: number): SampleTokens {
    const length = this.#offsets[i + 1]! - this.#offsets[i]!;
    const first = 2 * this.#offsets[i]!;
    const isInside = first >= this.#first && first + 2 * length <= this.#first + this.#window.length;
    if (!isInside) this.#moveTo(first, 2 * length);
    const at = first - this.#first;
    return {
      tokens: this.#window.subarray(at, at + length),
      labels: this.#window.subarray(at + length, at + 2 * length),
    };
  }

  #moveTo(first: number, needed: number): void {
    const all = 2 * this.#offsets.at(-1)!;
    const window = new Int32Array(Math.min(Math.max(needed, WINDOW_WORDS), all - first));
    const bytes = new Uint8Array(window.buffer);
    try {
      const descriptor = openSync(this.#file, "r");
      try {
        for (let done = 0; done < bytes.length; ) {
          const position = this.#start + WORD * first + done;
          const read = readSync(descriptor, bytes, done, bytes.length - done, position);
          if (read === 0) throw new Error("it has become shorter");
          done += read;
        }
      } finally {
        closeSync(descriptor);
      }
    } catch (error) {
      throw this.#gone(error as Error);
    }
    [this.#window, this.#first] = [window, first];
  }

  #gone({ message }: Error): DiagnosticError {
    const summary = `the token cache, from which samples are read, cannot be read any more: ${message}`;
    const hint = "leave the cache alone while a run goes on; then resume it from its last checkpoint";
    return new DiagnosticError(diagnostic("data.unreadable", { summary, where: { file: this.#file }, hint }));
  }
}
