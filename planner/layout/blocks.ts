/** Buffers with lifetimes, and the bytes that no placement of them can do without. */

/** A buffer to place; alive in [start, end). */
export interface Block {
  readonly start: number;
  readonly end: number;
  readonly bytes: number;
  readonly alignment: number;
}

export interface Packing {
  /** One offset per block, in input order. */
  readonly offsets: readonly number[];
  readonly height: number;
}

/** The largest sum of bytes alive at one moment: a lower bound of every packing. */
export function maxLive(blocks: readonly Block[]): number {
  const byStart = Array.from(blocks, (_, index) => index).sort((a, b) => blocks[a]!.start - blocks[b]!.start);
  const byEnd = Array.from(blocks, (_, index) => index).sort((a, b) => blocks[a]!.end - blocks[b]!.end);
  let live = 0;
  let peak = 0;
  let ended = 0;
  for (const index of byStart) {
    const { start, bytes } = blocks[index]!;
    // At one moment what ends goes before what starts: lifetimes are half-open.
    for (; blocks[byEnd[ended]!]!.end <= start; ended++) live -= blocks[byEnd[ended]!]!.bytes;
    live += bytes;
    peak = Math.max(peak, live);
  }
  return peak;
}
