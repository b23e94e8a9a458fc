/** What the allocator is held to: the optimum of few buffers by trying every order, and instances of known optimum. */
import fc from "fast-check";
import type { Block } from "../../../planner/layout/blocks.ts";
import { counterRandom } from "../../../schemas/counter-rng.ts";
import { alignUp } from "../../../schemas/units.ts";

/** Buffers that overlap often, with alignments that don't divide the sizes. */
export function blocksArbitrary(maxLength: number): fc.Arbitrary<Block[]> {
  const block = fc
    .record({
      start: fc.nat(8),
      length: fc.integer({ min: 1, max: 6 }),
      bytes: fc.integer({ min: 1, max: 12 }),
      alignment: fc.constantFrom(1, 1, 2, 4, 6),
    })
    .map(({ start, length, bytes, alignment }): Block => ({ start, end: start + length, bytes, alignment }));
  return fc.array(block, { minLength: 1, maxLength });
}

/**
 * The lowest height of any placement. Sorted by offset and let down in that order, a placement only gets lower; so the
 * best one is among those that put each buffer, in some order, on top of the earlier ones that it overlaps.
 */
export function lowestHeight(blocks: readonly Block[]): number {
  let best = Number.POSITIVE_INFINITY;
  const ends = new Map<number, number>();
  visit(0);
  return best;

  function visit(height: number): void {
    if (height >= best) return;
    if (ends.size === blocks.length) best = height;
    for (const [index, block] of blocks.entries()) {
      if (ends.has(index)) continue;
      let bottom = 0;
      for (const [other, end] of ends) {
        const { start, end: last } = blocks[other]!;
        if (start < block.end && block.start < last) bottom = Math.max(bottom, end);
      }
      const end = alignUp(bottom, block.alignment) + block.bytes;
      ends.set(index, end);
      visit(Math.max(height, end));
      ends.delete(index);
    }
  }
}

/** A rectangle of `time` × `bytes` cut at random into `count` buffers: alive bytes are `bytes` at every moment. */
export function cutRectangle(count: number, seed: number, time = 1000, bytes = 2 ** 20): Block[] {
  const random = counterRandom(seed, "test.cut");
  let draw = 0;
  const pieces = [{ start: 0, end: time, bytes }];
  while (pieces.length < count) {
    const index = Math.floor(random.float(draw++) * pieces.length);
    const alongTime = random.float(draw++) < 0.5;
    const share = 0.2 + 0.6 * random.float(draw++);
    const piece = pieces[index]!;
    const length = alongTime ? piece.end - piece.start : piece.bytes;
    const cut = Math.round(length * share);
    if (cut < 1 || cut >= length) continue;
    if (alongTime) {
      pieces[index] = { ...piece, end: piece.start + cut };
      pieces.push({ ...piece, start: piece.start + cut });
    } else {
      pieces[index] = { ...piece, bytes: cut };
      pieces.push({ ...piece, bytes: piece.bytes - cut });
    }
  }
  return pieces.map((piece) => ({ ...piece, alignment: 1 }));
}
