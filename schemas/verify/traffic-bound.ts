/**
 * How little a link can move, from what is touched and how much fits. It knows nothing of loads.
 *
 * In any stretch of a steady cycle that touches D distinct bytes of weights, at most as many of them can be in fast
 * memory as its places hold at its first touch, C bytes, so at least D − C are moved after that touch and before the last
 * one. Stretches that have no moment in common add up: they may meet in a touch, with which one ends and the next begins.
 * The touches of a step repeat for ever, so stretches may wrap around its end.
 */

/** What a step touches, one after the other: a unit, its bytes, and what memory can hold when the touch begins. */
export interface Touch {
  readonly unit: string;
  readonly bytes: number;
  readonly capacity: number;
}

/** A stretch [start, end) of the endlessly repeated touches, counted from the start of a step. */
export interface Window {
  readonly start: number;
  readonly end: number;
}

/** What the window alone forces over the link: max(0, distinct bytes − capacity at its start). */
export function windowBound(touches: readonly Touch[], { start, end }: Window): number {
  const distinct = new Map<string, number>();
  for (let i = start; i < end; i++) {
    const { unit, bytes } = touches[i % touches.length]!;
    distinct.set(unit, bytes);
  }
  const { capacity } = touches[start % touches.length]!;
  return Math.max(0, [...distinct.values()].reduce((sum, bytes) => sum + bytes, 0) - capacity);
}

/** Whether the windows are disjoint on the circle of `period` touches, but for a touch in which two `meet`. */
export function disjointOnCircle(windows: readonly Window[], period: number, meet: boolean): boolean {
  const sorted = windows
    .map(({ start, end }) => ({
      start: start % period,
      end: (start % period) + end - start - (meet ? 1 : 0),
    }))
    .sort((a, b) => a.start - b.start);
  return sorted.every(({ start, end }, i) => {
    const next = sorted[i + 1]?.start ?? sorted[0]!.start + period;
    return start < end && end <= next;
  });
}

/** The best bound that any choice of such windows within two steps gives for one of them. */
export function bestBound(touches: readonly Touch[], meet: boolean): number {
  const sequence = withoutRepeats(touches);
  if (sequence.length === 0) return 0;
  const length = 2 * sequence.length;
  const common = meet ? 1 : 0;
  // best[i]: most that windows force behind which touch i may begin another.
  const best = new Array<number>(length + 1).fill(0);
  for (let start = 0; start < length; start++) {
    best[start + 1] = Math.max(best[start + 1]!, best[start]!);
    const seen = new Set<string>();
    const { capacity } = sequence[start % sequence.length]!;
    let distinct = 0;
    for (let end = start + 1; end <= Math.min(length, start + sequence.length) + common; end++) {
      const { unit, bytes } = sequence[(end - 1) % sequence.length]!;
      if (!seen.has(unit)) distinct += bytes;
      seen.add(unit);
      const next = end - common;
      if (next > start && distinct > capacity) {
        best[next] = Math.max(best[next]!, best[start]! + distinct - capacity);
      }
    }
  }
  return Math.ceil(best[length]! / 2);
}

/** Of a unit that is touched many times in a row two touches are enough: one for the window that ends between them. */
function withoutRepeats(touches: readonly Touch[]): Touch[] {
  return touches.filter(({ unit }, i) => unit !== touches[i - 1]?.unit || unit !== touches[i - 2]?.unit);
}
