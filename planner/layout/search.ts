/**
 * Exact search: do all buffers fit below a capacity?
 *
 * The skyline of floors always has a valley: neighbouring cliques of one floor between higher ones. In one clique of a
 * valley, either some unplaced member starts exactly at the floor, or none does and the floor rises to the next height
 * at which one could. A member that may start there lies within the valley, nothing can come below it, so placing it
 * there loses nothing. These alternatives are complete and never meet: each solution in which every buffer rests on
 * the bottom or on another one (Moffitt 2023 calls it canonical) is reached along one path only.
 *
 * The clique with the fewest alternatives is branched on (first fail). Where the unplaced buffers fall apart in time
 * the parts are solved one after another, so that a dead end in one never makes another be solved again. States known
 * to be dead are remembered. Restarts of Luby lengths (Luby, Sinclair, Zuckerman 1993) vary the order of the
 * alternatives: first by preorders of the literature, then with seeded noise. Bounded by nodes; the same input gives the same answer.
 */
import { counterRandom } from "../../schemas/counter-rng.ts";
import type { Block } from "./blocks.ts";
import { type Overlaps, overlapsOf } from "./overlaps.ts";
import { preordersOf } from "./preorders.ts";
import { Skyline } from "./skyline.ts";
import { type CliqueRange, deadKey, fallApart, valleys } from "./state.ts";

export interface SearchResult {
  /** `found`: `offsets` fit. `impossible`: nothing fits. `stopped`: out of nodes. */
  readonly outcome: "found" | "impossible" | "stopped";
  /** Bytes, one a block; empty unless found. */
  readonly offsets: readonly number[];
  /** States visited. */
  readonly nodes: number;
}

/** Nodes of the shortest run between two restarts, for small problems. */
const RESTART = 500;
/** States remembered at most, so that memory stays bounded. */
const MEMORY = 1 << 20;

/** Searches for offsets so that every block ends at or below `capacity` bytes. Lifetimes and sizes must not be empty. */
export function search(blocks: readonly Block[], capacity: number, nodes: number): SearchResult {
  const overlaps = overlapsOf(blocks);
  const skyline = new Skyline(blocks, overlaps, capacity);
  if (!skyline.settle()) return { outcome: "impossible", offsets: [], nodes: 0 };
  const tree = new Tree(skyline);
  const preorders = preordersOf(blocks, overlaps);
  const root = skyline.mark();
  // The shortest run must be able to place everything.
  const length = Math.max(RESTART, 2 * blocks.length);
  for (let run = 0; tree.nodes < nodes; run++) {
    const preorder = preorders[run % preorders.length]!;
    const random = counterRandom(run, "layout.restart");
    const priority =
      run < preorders.length ? preorder : preorder.map((value, i) => value * (0.7 + 0.6 * random.float(i)));
    const outcome = tree.run(priority, Math.min(nodes, tree.nodes + length * luby(run + 1)));
    if (outcome === "found") {
      return { outcome, offsets: Array.from(skyline.offset, (at) => at * skyline.unit), nodes: tree.nodes };
    }
    if (outcome === "impossible") return { outcome, offsets: [], nodes: tree.nodes };
    skyline.undo(root);
  }
  return { outcome: "stopped", offsets: [], nodes: tree.nodes };
}

type Outcome = SearchResult["outcome"];

/** A state to branch from: in `clique`, the candidates one by one at its floor, then none of them there. */
interface Frame {
  readonly group: Group;
  readonly part: CliqueRange;
  readonly key: number;
  readonly mark: number;
  readonly clique: number;
  readonly candidates: readonly number[];
  /** Alternatives tried so far. */
  tried: number;
}

/** Parts that one alternative of `parent` leaves, solved in order; when one cannot be, that alternative is refuted. */
interface Group {
  readonly parts: readonly CliqueRange[];
  readonly parent: Frame | undefined;
  solved: number;
}

/** Depth-first, with frames instead of recursion: a path is as long as there are buffers. */
class Tree {
  nodes = 0;
  readonly #skyline: Skyline;
  readonly #overlaps: Overlaps;
  readonly #dead = new Set<number>();
  #priority: Float64Array = new Float64Array();

  constructor(skyline: Skyline) {
    this.#skyline = skyline;
    this.#overlaps = skyline.overlaps;
  }

  /** One descent from the present state, higher priority first, until `limit` nodes. */
  run(priority: Float64Array, limit: number): Outcome {
    this.#priority = priority;
    let group = this.#split({ from: 0, to: this.#overlaps.cliques.length }, undefined);
    for (;;) {
      while (group.solved === group.parts.length) {
        if (!group.parent) return "found";
        group = group.parent.group;
        group.solved++;
      }
      if (this.nodes >= limit) return "stopped";
      let frame: Frame | undefined = this.#open(group);
      while (frame && !this.#tryNext(frame)) {
        if (this.#dead.size < MEMORY) this.#dead.add(frame.key);
        frame = frame.group.parent;
      }
      if (!frame) return "impossible";
      group = this.#split(frame.part, frame);
    }
  }

  #split({ from, to }: CliqueRange, parent: Frame | undefined): Group {
    return { parts: fallApart(this.#skyline, from, to), parent, solved: 0 };
  }

  #open(group: Group): Frame {
    this.nodes++;
    const part = group.parts[group.solved]!;
    const mark = this.#skyline.mark();
    const key = deadKey(this.#skyline, part.from, part.to);
    const clique = this.#choose(part);
    const candidates = this.#candidates(clique);
    const tried = this.#dead.has(key) ? candidates.length + 1 : 0;
    return { group, part, key, mark, clique, candidates, tried };
  }

  /** Goes on to the next alternative that isn't refuted at once; false when none is left. */
  #tryNext(frame: Frame): boolean {
    const { candidates, mark } = frame;
    while (frame.tried <= candidates.length) {
      this.#skyline.undo(mark);
      const k = frame.tried++;
      if (k === candidates.length) return this.#leaveGap(frame);
      if (!this.#isAlikeAny(candidates[k]!, candidates, k) && this.#skyline.place(candidates[k]!))
        return true;
    }
    return false;
  }

  /** The alternative that no member of the clique starts at its floor. */
  #leaveGap({ clique, candidates, part }: Frame): boolean {
    const skyline = this.#skyline;
    const slack = skyline.slack(clique);
    if (slack === 0) return false;
    const floor = this.#nextFloor(clique, candidates, part);
    return floor - skyline.floor[clique]! <= slack && skyline.raise(clique, floor);
  }

  /** The clique of a valley with the fewest alternatives, the tightest among equals. */
  #choose({ from, to }: CliqueRange): number {
    const skyline = this.#skyline;
    let best = -1;
    let fewest = Number.POSITIVE_INFINITY;
    let tightest = Number.POSITIVE_INFINITY;
    for (const valley of valleys(skyline, from, to)) {
      for (let clique = valley.from; clique < valley.to; clique++) {
        const slack = skyline.slack(clique);
        const alternatives = skyline.lowest[clique]! + (slack > 0 ? 1 : 0);
        if (alternatives > fewest || (alternatives === fewest && slack >= tightest)) continue;
        best = clique;
        fewest = alternatives;
        tightest = slack;
      }
    }
    return best;
  }

  /** Members that may start at the clique's floor, by priority. */
  #candidates(clique: number): number[] {
    const { offset, floor, waiting, members } = this.#skyline;
    const candidates: number[] = [];
    for (let k = 0; k < waiting[clique]!; k++) {
      const buffer = members[clique]![k]!;
      if (offset[buffer] === floor[clique]) candidates.push(buffer);
    }
    return candidates.sort((a, b) => this.#priority[b]! - this.#priority[a]! || a - b);
  }

  /** Whether one of the first `count` candidates, all in vain, has the lifetime, size and alignment of `buffer`. */
  #isAlikeAny(buffer: number, candidates: readonly number[], count: number): boolean {
    const { size, alignment } = this.#skyline;
    const { first, last } = this.#overlaps;
    for (let k = 0; k < count; k++) {
      const other = candidates[k]!;
      const sameLife = first[buffer] === first[other] && last[buffer] === last[other];
      const sameShape = size[buffer] === size[other] && alignment[buffer] === alignment[other];
      if (sameLife && sameShape) return true;
    }
    return false;
  }

  /**
   * The lowest height above the floor at which a member could start: the offset of one that is higher already, or the
   * lowest possible end of a buffer beside the clique on which a candidate could rest.
   */
  #nextFloor(clique: number, candidates: readonly number[], { from, to }: CliqueRange): number {
    const { offset, floor, size, waiting, members } = this.#skyline;
    const { first, last } = this.#overlaps;
    let left = clique;
    let right = clique;
    for (const buffer of candidates) {
      left = Math.min(left, first[buffer]!);
      right = Math.max(right, last[buffer]!);
    }
    let next = Number.POSITIVE_INFINITY;
    for (let beside = Math.max(from, left); beside < Math.min(to, right + 1); beside++) {
      for (let k = 0; k < waiting[beside]!; k++) {
        const buffer = members[beside]![k]!;
        const isMember = first[buffer]! <= clique && clique <= last[buffer]!;
        if (!isMember) next = Math.min(next, offset[buffer]! + size[buffer]!);
        else if (offset[buffer]! > floor[clique]!) next = Math.min(next, offset[buffer]!);
      }
    }
    return next;
  }
}

/** The Luby sequence 1 1 2 1 1 2 4 …, `index` from 1. */
function luby(index: number): number {
  let power = 1;
  while (2 * power - 1 < index) power *= 2;
  return 2 * power - 1 === index ? power : luby(index - power + 1);
}
