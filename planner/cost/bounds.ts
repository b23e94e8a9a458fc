/**
 * Lower bounds of the bytes that a link must move per step, from touches and capacities alone.
 *
 * In any window of the touch sequence, a memory of C bytes can serve at most C of the distinct bytes touched without a
 * load. Disjoint windows add up (the argument of Hong & Kung 1981, for a known sequence); the best partition of one
 * cycle is found by dynamic programming over all rotations. Everything else that a link moves — embedding rows, step
 * inputs, gradients — has to be moved once and stands in `compulsory`.
 */
export interface Touched {
  readonly unit: string;
  readonly bytes: number;
}

export interface WindowBound {
  readonly bytes: number;
  /** Disjoint windows [start, end) over touches, possibly past the cycle's end. */
  readonly windows: readonly (readonly [number, number])[];
}

/** The best bound for a touch sequence that repeats for ever, per repetition. */
export function windowBound(cycle: readonly Touched[], capacity: number): WindowBound {
  let best: WindowBound = { bytes: 0, windows: [] };
  for (let rotation = 0; rotation < cycle.length; rotation++) {
    const rotated = [...cycle.slice(rotation), ...cycle.slice(0, rotation)];
    const found = partition(rotated, capacity);
    if (found.bytes > best.bytes) {
      best = {
        bytes: found.bytes,
        windows: found.cuts.map(([a, b]) => [a + rotation, b + rotation] as const),
      };
    }
  }
  return best;
}

function partition(
  touches: readonly Touched[],
  capacity: number,
): { bytes: number; cuts: readonly [number, number][] } {
  const best = new Array<number>(touches.length + 1).fill(0);
  const from = new Array<number>(touches.length + 1).fill(0);
  for (let end = 1; end <= touches.length; end++) {
    const seen = new Set<string>();
    let distinct = 0;
    for (let start = end - 1; start >= 0; start--) {
      const { unit, bytes } = touches[start]!;
      if (!seen.has(unit)) {
        seen.add(unit);
        distinct += bytes;
      }
      const total = best[start]! + Math.max(0, distinct - capacity);
      if (total > best[end]!) [best[end], from[end]] = [total, start];
    }
    if (best[end - 1]! >= best[end]!) [best[end], from[end]] = [best[end - 1]!, end - 1];
  }
  const cuts: [number, number][] = [];
  for (let end = touches.length; end > 0; end = from[end]!) {
    if (best[end]! > best[from[end]!]!) cuts.unshift([from[end]!, end]);
  }
  return { bytes: best[touches.length]!, cuts };
}
