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
  const events = blocks.flatMap(({ start, end, bytes }) => [
    { at: start, change: bytes },
    { at: end, change: -bytes },
  ]);
  events.sort((a, b) => a.at - b.at || a.change - b.change);
  let live = 0;
  let peak = 0;
  for (const { change } of events) {
    live += change;
    peak = Math.max(peak, live);
  }
  return peak;
}
