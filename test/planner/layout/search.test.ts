import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findFault, readInstances } from "../../../bench/layout-instances.ts";
import { bestFit } from "../../../planner/layout/best-fit.ts";
import { maxLive } from "../../../planner/layout/blocks.ts";
import { greedy } from "../../../planner/layout/first-fit.ts";
import { componentsOf, overlapsOf } from "../../../planner/layout/overlaps.ts";
import { search } from "../../../planner/layout/search.ts";
import { blocksArbitrary, cutRectangle, lowestHeight } from "./oracle.ts";

describe("search", () => {
  it("finds what fits and refutes what does not, one byte apart", () => {
    fc.assert(
      fc.property(blocksArbitrary(7), (blocks) => {
        const height = lowestHeight(blocks);
        const found = search(blocks, height, 100_000);
        expect(found.outcome).toBe("found");
        expect(findFault(blocks, found.offsets, height)).toBeUndefined();
        expect(search(blocks, height - 1, 100_000).outcome).toBe("impossible");
      }),
      { seed: 5, numRuns: 500 },
    );
  });

  it("stops at its nodes", () => {
    const { blocks, capacity } = readInstances("test/planner/layout/minimalloc")[0]!;
    const result = search(blocks, capacity, 50);
    expect(result).toEqual({ outcome: "stopped", offsets: [], nodes: 50 });
  });

  it("goes as deep as there are buffers", () => {
    const blocks = cutRectangle(1500, 1, 100_000, 2 ** 30);
    const loose = Math.floor(1.3 * 2 ** 30);
    const result = search(blocks, loose, 4_000);
    expect(result.nodes).toBeGreaterThanOrEqual(blocks.length);
    if (result.outcome === "found") expect(findFault(blocks, result.offsets, loose)).toBeUndefined();
  });
});

describe("the heuristics before it", () => {
  it.each([
    ["first fit", greedy],
    ["best fit", bestFit],
  ])("%s places everything in free bytes", (_, heuristic) => {
    fc.assert(
      fc.property(blocksArbitrary(30), (blocks) => {
        const { offsets, height } = heuristic(blocks, maxLive(blocks));
        expect(findFault(blocks, offsets, height)).toBeUndefined();
        expect(height).toBe(Math.max(...blocks.map(({ bytes }, index) => offsets[index]! + bytes)));
      }),
      { seed: 7, numRuns: 200 },
    );
  });
});

describe("overlaps", () => {
  it("makes maximal cliques, and shared cliques mean shared time", () => {
    fc.assert(
      fc.property(blocksArbitrary(20), (blocks) => {
        const { cliques, first, last } = overlapsOf(blocks);
        for (const [i, a] of blocks.entries()) {
          for (const [j, b] of blocks.entries()) {
            const together = a.start < b.end && b.start < a.end;
            expect(first[i]! <= last[j]! && first[j]! <= last[i]!).toBe(together);
          }
        }
        for (const [c, members] of cliques.entries()) {
          const expected = blocks.flatMap((_, i) => (first[i]! <= c && c <= last[i]! ? [i] : []));
          expect([...members].sort((a, b) => a - b)).toEqual(expected);
          for (const other of cliques) {
            if (other !== members) expect(members.every((buffer) => other.includes(buffer))).toBe(false);
          }
        }
      }),
      { seed: 11, numRuns: 200 },
    );
  });

  it("splits where nothing is alive across", () => {
    const at = (start: number, end: number) => ({ start, end, bytes: 1, alignment: 1 });
    expect(componentsOf([at(4, 6), at(0, 3), at(2, 4), at(5, 9), at(9, 10)])).toEqual([[1, 2], [0, 3], [4]]);
  });
});
