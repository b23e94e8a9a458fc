/**
 * Offsets for buffers with lifetimes within a capacity: dynamic storage allocation, a strip packing in which each
 * rectangle's place in time is given (Sekar et al. 2023; Moffitt 2023, MiniMalloc).
 *
 * First fit and best fit answer what is easy. What they leave above the goal is searched exactly, one component in
 * time after another; where the search stops without an answer, looser capacities are bisected between the goal and
 * the best known. Pure and deterministic: bounded by nodes, never by time.
 */
import { bestFit } from "./best-fit.ts";
import { type Block, maxLive, type Packing } from "./blocks.ts";
import { greedy } from "./first-fit.ts";
import { componentsOf } from "./overlaps.ts";
import { search } from "./search.ts";

export interface Allocation {
  /** Bytes, one a buffer, in input order. */
  readonly offsets: readonly number[];
  /** The height reached: the end of the highest buffer. `bytes / lowerBound` is the price of fragmentation. */
  readonly bytes: number;
  /** Bytes alive at the fullest moment: no allocation is lower. */
  readonly lowerBound: number;
  /** Search states visited; 0 where first fit or best fit sufficed. */
  readonly nodes: number;
}

export interface AllocateOptions {
  /** Bytes; the search ends when this is reached. Default: the lower bound. */
  readonly capacity?: number;
  /** Search states at most; a state costs between 10 µs and 200 µs for hundreds of buffers. */
  readonly nodes?: number;
}

/** About 20 s on one slow core where they run out (MiniMalloc instance D, asked for 94 % of its capacity). */
const NODES = 200_000;

/**
 * Places all buffers. Overlapping lifetimes [start, end) get disjoint bytes and each offset is a multiple of its
 * buffer's alignment. When the goal isn't reached, the lowest height found is returned.
 */
export function allocate(blocks: readonly Block[], options: AllocateOptions = {}): Allocation {
  const { nodes: limit = NODES } = options;
  const lowerBound = maxLive(blocks);
  // An empty buffer or lifetime takes no room: its offset is 0.
  const present = blocks.flatMap(({ start, end, bytes }, index) => (bytes > 0 && start < end ? [index] : []));
  const components = componentsOf(present.map((index) => blocks[index]!))
    .map((component) => component.map((k) => present[k]!))
    .map((indices) => ({ indices, live: maxLive(indices.map((index) => blocks[index]!)) }))
    // The fullest first: what it needs, the others may use.
    .sort((a, b) => b.live - a.live);
  const offsets = new Array<number>(blocks.length).fill(0);
  let bytes = Math.max(lowerBound, options.capacity ?? 0);
  let height = 0;
  let nodes = 0;
  for (const { indices } of components) {
    const result = allocateComponent(
      indices.map((index) => blocks[index]!),
      bytes,
      limit - nodes,
    );
    indices.forEach((index, k) => {
      offsets[index] = result.offsets[k]!;
    });
    nodes += result.nodes;
    height = Math.max(height, result.height);
    bytes = Math.max(bytes, height);
  }
  return { offsets, bytes: height, lowerBound, nodes };
}

function allocateComponent(
  blocks: readonly Block[],
  goal: number,
  limit: number,
): Packing & { nodes: number } {
  let best = greedy(blocks, goal);
  if (best.height > goal) best = lower(best, bestFit(blocks, goal));
  let nodes = 0;
  // Heights in [reachable, best.height) may still exist; a capacity that ran out of nodes counts as out of reach.
  let reachable = goal;
  for (let capacity = goal; reachable < best.height && nodes < limit; ) {
    const result = search(blocks, capacity, Math.ceil((limit - nodes) / 2));
    nodes += result.nodes;
    if (result.outcome === "found") best = packed(blocks, result.offsets);
    else reachable = capacity + 1;
    capacity = Math.floor((reachable + best.height) / 2);
  }
  return { ...best, nodes };
}

function lower(a: Packing, b: Packing): Packing {
  return b.height < a.height ? b : a;
}

function packed(blocks: readonly Block[], offsets: readonly number[]): Packing {
  return { offsets, height: Math.max(...blocks.map(({ bytes }, index) => offsets[index]! + bytes)) };
}
