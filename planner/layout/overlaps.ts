/**
 * Which buffers are alive together, as the search needs it.
 *
 * Lifetimes are intervals, so "overlaps" is an interval graph: its maximal cliques stand in a row in time order and
 * each buffer is a member of consecutive ones (Gilmore and Hoffman, 1964). Two buffers overlap exactly when they share
 * a clique, so every other moment may be forgotten. Where no buffer crosses from one clique to the next the problem
 * falls apart into components that never meet.
 *
 * Example: lifetimes [0, 4) [0, 1) [2, 3) make two cliques, {0, 1} and {0, 2}, and one component.
 */
import type { Block } from "./blocks.ts";

export interface Overlaps {
  /** Member indices of each maximal clique, in time order. */
  readonly cliques: readonly Int32Array[];
  /** First and last clique of each buffer. */
  readonly first: Int32Array;
  readonly last: Int32Array;
}

/** The maximal cliques of `blocks`; lifetimes must not be empty. */
export function overlapsOf(blocks: readonly Block[]): Overlaps {
  const events = blocks.flatMap(({ start, end }, index) => [
    { at: start, starts: 1, index },
    { at: end, starts: 0, index },
  ]);
  events.sort((a, b) => a.at - b.at || a.starts - b.starts || a.index - b.index);
  const first = new Int32Array(blocks.length);
  const last = new Int32Array(blocks.length);
  const cliques: Int32Array[] = [];
  const alive = new Set<number>();
  let grown = false;
  for (const { starts, index } of events) {
    if (starts) {
      first[index] = cliques.length;
      alive.add(index);
      grown = true;
      continue;
    }
    // The set alive is maximal just before it first shrinks after growing.
    if (grown) cliques.push(Int32Array.from(alive));
    grown = false;
    last[index] = cliques.length - 1;
    alive.delete(index);
  }
  return { cliques, first, last };
}

/** Indices of buffers that hang together in time, one list a component, in time order. */
export function componentsOf(blocks: readonly Block[]): readonly (readonly number[])[] {
  const order = blocks.map((_, index) => index).sort((a, b) => blocks[a]!.start - blocks[b]!.start || a - b);
  const components: number[][] = [];
  let end = Number.NEGATIVE_INFINITY;
  for (const index of order) {
    const block = blocks[index]!;
    if (block.start >= end) components.push([]);
    components.at(-1)!.push(index);
    end = Math.max(end, block.end);
  }
  return components;
}
