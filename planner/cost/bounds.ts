/**
 * Lower bounds of the bytes that a link must move per step, from touches and capacities alone.
 *
 * In any window of the touch sequence, places of weights that hold C bytes when its first touch happens can serve at most
 * C of the distinct bytes touched without a load (the argument of Hong & Kung 1981, for a known sequence). These loads end
 * before the last touch happens, so windows add up as long as the next begins with that touch, or later; the best windows
 * of one cycle are found by dynamic programming over all rotations. Everything else that a link moves — embedding rows,
 * step inputs, gradients — has to be moved once and stands in `compulsory`.
 */
export interface Touched {
  readonly unit: string;
  readonly bytes: number;
}

export interface WindowBound {
  readonly bytes: number;
  /** Windows [start, end) over touches, possibly past the cycle's end. */
  readonly windows: readonly (readonly [number, number])[];
}

/**
 * The best bound for a touch sequence that repeats for ever, per repetition. `capacityAt` tells the bytes of the places
 * that exist when a touch happens. `sharing`: a window may begin with the last touch of the one before.
 */
export function windowBound(
  cycle: readonly Touched[],
  capacityAt: (touch: number) => number,
  sharing: boolean,
): WindowBound {
  const numbered = numberUnits(cycle, capacityAt);
  let best: WindowBound = { bytes: 0, windows: [] };
  const tried = new Set<number>();
  // A best partition of the circle can be cut where one of its windows begins; the windows found tell where to look.
  for (const rotations = [0, cycle.length >> 1]; rotations.length > 0; ) {
    const rotation = rotations.shift()!;
    if (tried.has(rotation)) continue;
    tried.add(rotation);
    const found = partition(numbered, rotation, sharing ? 1 : 0);
    if (found.bytes > best.bytes) best = found;
    rotations.push(...found.windows.map(([start]) => start % cycle.length));
  }
  return best;
}

/** A cycle in flat arrays, units numbered: every rotation looks at every pair of touches. */
interface NumberedCycle {
  readonly unit: Int32Array;
  readonly bytes: Float64Array;
  readonly capacity: Float64Array;
}

function numberUnits(cycle: readonly Touched[], capacityAt: (touch: number) => number): NumberedCycle {
  const numbers = new Map<string, number>();
  for (const { unit } of cycle) if (!numbers.has(unit)) numbers.set(unit, numbers.size);
  return {
    unit: Int32Array.from(cycle, ({ unit }) => numbers.get(unit)!),
    bytes: Float64Array.from(cycle, ({ bytes }) => bytes),
    capacity: Float64Array.from(cycle, (_, touch) => capacityAt(touch)),
  };
}

/** `shared`: touches that neighbours have in common. */
function partition({ unit, bytes, capacity }: NumberedCycle, rotation: number, shared: 0 | 1): WindowBound {
  const count = unit.length;
  /** Of windows before a touch, and where the last of them begins. */
  const best = new Float64Array(count + 1);
  const from = new Int32Array(count + 1);
  /** The last `next` for which each unit was seen in a window before it. */
  const seen = new Int32Array(count);
  for (let next = 1; next <= count; next++) {
    let distinct = 0;
    for (let start = next - 1 + shared; start >= 0; start--) {
      const touch = (start + rotation) % count;
      if (seen[unit[touch]!] !== next) {
        seen[unit[touch]!] = next;
        distinct += bytes[touch]!;
      }
      if (start === next || distinct <= capacity[touch]!) continue;
      const total = best[start]! + distinct - capacity[touch]!;
      if (total <= best[next]!) continue;
      best[next] = total;
      from[next] = start;
    }
    if (best[next - 1]! < best[next]!) continue;
    best[next] = best[next - 1]!;
    from[next] = next - 1;
  }
  const windows: [number, number][] = [];
  for (let next = count; next > 0; next = from[next]!) {
    if (best[next]! > best[from[next]!]!) {
      windows.unshift([from[next]! + rotation, next + shared + rotation]);
    }
  }
  return { bytes: best[count]!, windows };
}

/** ⌊(moved − bound) · 10⁶ / max(bound, 1)⌋, exactly; as much as an integer of JSON holds where more, as with no bound. */
export function gapPpm(moved: number, bound: number): number {
  const exact = (BigInt(moved - bound) * 1_000_000n) / BigInt(Math.max(bound, 1));
  return Math.min(Number(exact), Number.MAX_SAFE_INTEGER);
}
