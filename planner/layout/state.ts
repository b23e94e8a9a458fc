/**
 * Questions about a skyline that the search asks at every node: where it falls apart, where its valleys are, and
 * whether it was seen before. Ranges of cliques are half-open.
 */
import { mix } from "./mix.ts";
import type { Skyline } from "./skyline.ts";

export interface CliqueRange {
  readonly from: number;
  readonly to: number;
}

/** The parts of [from, to) between which no unplaced buffer crosses, the fullest first; none when all is placed. */
export function fallApart(skyline: Skyline, from: number, to: number): readonly CliqueRange[] {
  const { waiting, floor, remaining, overlaps, members } = skyline;
  const parts: (CliqueRange & { full: number })[] = [];
  for (let clique = from; clique < to; clique++) {
    if (waiting[clique] === 0) continue;
    const start = clique;
    let full = floor[clique]! + remaining[clique]!;
    while (clique + 1 < to && crosses(clique)) {
      clique++;
      full = Math.max(full, floor[clique]! + remaining[clique]!);
    }
    parts.push({ from: start, to: clique + 1, full });
  }
  return parts.length > 1 ? parts.sort((a, b) => b.full - a.full || a.from - b.from) : parts;

  function crosses(clique: number): boolean {
    for (let k = 0; k < waiting[clique]!; k++) {
      if (overlaps.last[members[clique]![k]!]! > clique) return true;
    }
    return false;
  }
}

/** Runs of cliques with unplaced members and equal floors whose neighbours within [from, to) stand higher. */
export function valleys({ waiting, floor }: Skyline, from: number, to: number): readonly CliqueRange[] {
  const heightOf = (clique: number) =>
    clique < from || clique >= to || waiting[clique] === 0 ? Number.POSITIVE_INFINITY : floor[clique]!;
  const found: CliqueRange[] = [];
  for (let start = from, end = from; start < to; start = end) {
    const height = heightOf(start);
    end = start + 1;
    while (end < to && heightOf(end) === height) end++;
    const isValley = heightOf(start - 1) > height && heightOf(end) > height;
    if (isValley) found.push({ from: start, to: end });
  }
  return found;
}

/**
 * A 53-bit key of what the rest of [from, to) depends on: floors, tops and which members are unplaced. Two states that
 * share a key by accident (one in 10^15 pairs) can make the search miss a solution, never return a wrong one.
 */
export function deadKey({ floor, top, waitingKey }: Skyline, from: number, to: number): number {
  let high = mix(from, to);
  let low = mix(to, from);
  for (let clique = from; clique < to; clique++) {
    for (const length of [floor[clique]!, top[clique]!]) {
      // Lengths may pass 2^32: both halves count.
      const upper = Math.floor(length / 0x1_0000_0000);
      high = mix(high ^ upper, length);
      low = mix(low ^ length, upper);
    }
    high = mix(high, waitingKey[clique]!);
    low = mix(low ^ waitingKey[clique]!, clique);
  }
  return (high >>> 0) * 0x20_0000 + (low >>> 11);
}
