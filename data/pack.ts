/**
 * Lays samples into rows of a fixed length: packed, several to a row, or one to a row and padded.
 *
 * What the kernels rely on, for every row:
 * - a row is a chain of segments; a segment is one sample, or the padding at the end of the row;
 * - `positions` count from 0 in each segment, and position `t` attends to `[segmentStart[t], t]`, so nothing is seen
 *   across segments;
 * - `labels` are shifted: `labels[t]` is the token to be predicted after position `t`, which is the next token of the same
 *   segment where that one is learned, else −100. The last position of a segment predicts nothing.
 */
import { invariant } from "../schemas/diagnostic.ts";
import { IGNORED } from "./encode.ts";
import { type Samples, sampleLength } from "./samples.ts";

/** `rows` sequences of `sequenceLength` tokens; every `[rows · sequenceLength]` array is row-major. */
export interface PackedDataset {
  readonly sequenceLength: number;
  readonly rows: number;
  /** `[rows · sequenceLength]`; padding holds the pad id. */
  readonly tokens: Int32Array;
  /** `[rows · sequenceLength]`, already shifted, −100 where nothing is learned. */
  readonly labels: Int32Array;
  /** `[rows · sequenceLength]`, from 0 in each segment. */
  readonly positions: Int32Array;
  /** `[rows · sequenceLength]`, index within the row of the first token of the position's segment. */
  readonly segmentStart: Int32Array;
  /** `[rows]`: labels of the row other than −100. */
  readonly supervised: Int32Array;
}

/** Which samples make each row, in order. */
export type Layout = readonly (readonly number[])[];

export type PackingMethod =
  /** One sample a row. */
  | "one-per-row"
  /** Samples keep their order; a new row begins where the next one does not fit. */
  | "next-fit"
  /** Longest first, each into the fullest row that has room. */
  | "best-fit-decreasing";

/**
 * Assigns `order` (sample indices) to rows of `sequenceLength` tokens; samples longer than that count as cut to it.
 *
 * Deterministic: samples of equal length are taken in the order given.
 */
export function layOut(
  samples: Samples,
  order: Uint32Array,
  sequenceLength: number,
  method: PackingMethod,
): Layout {
  const lengthOf = (i: number): number => Math.min(sampleLength(samples, i), sequenceLength);
  switch (method) {
    case "one-per-row":
      return Array.from(order, (i) => [i]);
    case "next-fit":
      return nextFit(order, sequenceLength, lengthOf);
    case "best-fit-decreasing":
      return bestFitDecreasing(order, sequenceLength, lengthOf);
  }
}

function nextFit(order: Uint32Array, capacity: number, lengthOf: (i: number) => number): Layout {
  const rows: number[][] = [];
  let room = 0;
  for (const i of order) {
    if (lengthOf(i) > room) {
      rows.push([]);
      room = capacity;
    }
    rows.at(-1)!.push(i);
    room -= lengthOf(i);
  }
  return rows;
}

/** Johnson 1973; at most 11/9 · optimum + 6/9 rows. Rows with equal room are used youngest first. */
function bestFitDecreasing(order: Uint32Array, capacity: number, lengthOf: (i: number) => number): Layout {
  const rows: number[][] = [];
  /** Rows by the room they have left. */
  const byRoom: number[][] = Array.from({ length: capacity + 1 }, () => []);
  const decreasing = Array.from(order).sort((a, b) => lengthOf(b) - lengthOf(a));
  for (const i of decreasing) {
    const length = lengthOf(i);
    let room = length;
    while (room <= capacity && byRoom[room]!.length === 0) room++;
    let row: number;
    if (room <= capacity) {
      row = byRoom[room]!.pop()!;
      rows[row]!.push(i);
    } else {
      room = capacity;
      row = rows.push([i]) - 1;
    }
    byRoom[room - length]!.push(row);
  }
  return rows;
}

/** Writes the rows of `layout`. */
export function fillRows(
  samples: Samples,
  layout: Layout,
  sequenceLength: number,
  padId: number,
): PackedDataset {
  const rows = layout.length;
  const packed = {
    sequenceLength,
    rows,
    tokens: new Int32Array(rows * sequenceLength).fill(padId),
    labels: new Int32Array(rows * sequenceLength).fill(IGNORED),
    positions: new Int32Array(rows * sequenceLength),
    segmentStart: new Int32Array(rows * sequenceLength),
    supervised: new Int32Array(rows),
  };
  for (const [row, members] of layout.entries()) {
    const base = row * sequenceLength;
    let at = 0;
    for (const i of members) {
      const length = Math.min(sampleLength(samples, i), sequenceLength);
      invariant(at + length <= sequenceLength, `row ${row} holds more than ${sequenceLength} tokens`);
      const { tokens, labels } = samples.read(i);
      packed.tokens.set(tokens.subarray(0, length), base + at);
      packed.labels.set(labels.subarray(1, length), base + at);
      packed.supervised[row]! += countSupervised(labels, length);
      fillSegment(packed, base, at, at + length);
      at += length;
    }
    fillSegment(packed, base, at, sequenceLength);
  }
  return packed;
}

function fillSegment(
  { positions, segmentStart }: Pick<PackedDataset, "positions" | "segmentStart">,
  base: number,
  start: number,
  end: number,
): void {
  segmentStart.fill(start, base + start, base + end);
  for (let t = start; t < end; t++) positions[base + t] = t - start;
}

/** Tokens of the first `length` of a sample that are predicted, by its labels: the first token never is. */
export function countSupervised(labels: Int32Array, length: number): number {
  let count = 0;
  for (let t = 1; t < length; t++) if (labels[t] !== IGNORED) count++;
  return count;
}
