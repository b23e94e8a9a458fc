/** Half-open byte intervals `[start, end)`: merging, overlap search, and a map from bytes to values. */

export interface Interval {
  readonly start: number;
  readonly end: number;
}

/** Sorted, disjoint, non-empty intervals that cover the same bytes; neighbours that touch become one. */
export function mergeIntervals(intervals: readonly Interval[]): Interval[] {
  const sorted = intervals.filter(({ start, end }) => start < end).sort((a, b) => a.start - b.start);
  const merged: { start: number; end: number }[] = [];
  for (const { start, end } of sorted) {
    const last = merged.at(-1);
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else merged.push({ start, end });
  }
  return merged;
}

/** Pairs that share a byte, each interval reported with the earlier one that reaches furthest. */
export function overlappingPairs<T extends Interval>(items: readonly T[]): [T, T][] {
  const sorted = items.filter(({ start, end }) => start < end).sort((a, b) => a.start - b.start);
  const pairs: [T, T][] = [];
  let furthest: T | undefined;
  for (const item of sorted) {
    if (furthest && item.start < furthest.end) pairs.push([furthest, item]);
    if (!furthest || item.end > furthest.end) furthest = item;
  }
  return pairs;
}

export function intersects(a: Interval, b: Interval): boolean {
  return a.start < b.end && b.start < a.end;
}

export function covers(outer: Interval, inner: Interval): boolean {
  return outer.start <= inner.start && inner.end <= outer.end;
}

export function totalBytes(intervals: readonly Interval[]): number {
  return intervals.reduce((sum, { start, end }) => sum + end - start, 0);
}

export interface Piece<T> extends Interval {
  readonly value: T;
}

/** Which value each byte has; bytes without a value are absent. Pieces are kept sorted and disjoint. */
export class IntervalMap<T> {
  #pieces: Piece<T>[] = [];

  /** Gives every byte of the range this value, or none. */
  assign(start: number, end: number, value: T | undefined): void {
    if (start >= end) return;
    const first = this.#firstEndingAfter(start);
    const known = this.#pieces[first];
    if (value === undefined && (known === undefined || known.start >= end)) return;
    // What is written again and again is mostly written as a whole: nothing has to move.
    if (value !== undefined && known?.start === start && known.end === end) {
      this.#pieces[first] = { start, end, value };
      return;
    }
    let last = first;
    const replacement: Piece<T>[] = [];
    let tail: Piece<T> | undefined;
    for (; last < this.#pieces.length; last++) {
      const piece = this.#pieces[last]!;
      if (piece.start >= end) break;
      if (piece.start < start) replacement.push({ start: piece.start, end: start, value: piece.value });
      if (piece.end > end) tail = { start: end, end: piece.end, value: piece.value };
    }
    if (value !== undefined) replacement.push({ start, end, value });
    if (tail) replacement.push(tail);
    if (replacement.length !== last - first) this.#pieces.splice(first, last - first, ...replacement);
    else for (let i = 0; i < replacement.length; i++) this.#pieces[first + i] = replacement[i]!;
  }

  /** Shows the range cut where its value changes, in order, without holes. */
  visit(start: number, end: number, see: (start: number, end: number, value: T | undefined) => void): void {
    let at = start;
    for (let i = this.#firstEndingAfter(start); i < this.#pieces.length && at < end; i++) {
      const piece = this.#pieces[i]!;
      if (piece.start >= end) break;
      if (piece.start > at) see(at, piece.start, undefined);
      const from = Math.max(at, piece.start);
      at = Math.min(end, piece.end);
      see(from, at, piece.value);
    }
    if (at < end) see(at, end, undefined);
  }

  /** The value that every byte of the range has, where one piece has them all. */
  only(start: number, end: number): T | undefined {
    const piece = this.#pieces[this.#firstEndingAfter(start)];
    return piece !== undefined && piece.start <= start && end <= piece.end ? piece.value : undefined;
  }

  pieces(start: number, end: number): { start: number; end: number; value: T | undefined }[] {
    const found: { start: number; end: number; value: T | undefined }[] = [];
    this.visit(start, end, (from, to, value) => found.push({ start: from, end: to, value }));
    return found;
  }

  /** All bytes that have a value, sorted. */
  all(): readonly Piece<T>[] {
    return [...this.#pieces];
  }

  /** Drops the bytes whose value fails the test. */
  retain(keep: (value: T) => boolean): void {
    this.#pieces = this.#pieces.filter(({ value }) => keep(value));
  }

  #firstEndingAfter(position: number): number {
    let low = 0;
    let high = this.#pieces.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#pieces[middle]!.end > position) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
