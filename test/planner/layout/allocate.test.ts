import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findFault, readInstances } from "../../../bench/layout-instances.ts";
import { allocate } from "../../../planner/layout/allocate.ts";
import { type Block, maxLive } from "../../../planner/layout/blocks.ts";
import { greedy } from "../../../planner/layout/first-fit.ts";
import { blocksArbitrary, cutRectangle, lowestHeight } from "./oracle.ts";

const instances = readInstances("test/planner/layout/minimalloc");

describe("allocate", () => {
  it("is as low as the best of all orders, for up to seven buffers of any alignment", () => {
    let aboveBound = 0;
    fc.assert(
      fc.property(blocksArbitrary(7), (blocks) => {
        const { offsets, bytes, lowerBound } = allocate(blocks);
        expect(findFault(blocks, offsets, bytes)).toBeUndefined();
        expect(bytes).toBe(lowestHeight(blocks));
        expect(lowerBound).toBe(maxLive(blocks));
        if (bytes > lowerBound) aboveBound++;
      }),
      { seed: 3, numRuns: 500 },
    );
    // Both kinds must occur: those where the bound is reached and those where only a proof ends the search.
    expect(aboveBound).toBeGreaterThan(20);
    expect(aboveBound).toBeLessThan(480);
  });

  it("puts a cut rectangle together again", () => {
    let wasteful = 0;
    for (const count of [12, 25, 50, 100, 200]) {
      for (let seed = 0; seed < 6; seed++) {
        const blocks = cutRectangle(count, seed);
        const { offsets, bytes, lowerBound } = allocate(blocks);
        expect(lowerBound).toBe(2 ** 20);
        expect(bytes, `${count} pieces, seed ${seed}`).toBe(lowerBound);
        expect(findFault(blocks, offsets, bytes)).toBeUndefined();
        if (greedy(blocks, lowerBound).height > lowerBound) wasteful++;
      }
    }
    expect(wasteful).toBeGreaterThan(10);
  });

  it.each(instances)("fits MiniMalloc's instance $name into its capacity", ({ blocks, capacity }) => {
    const { offsets, bytes } = allocate(blocks, { capacity });
    expect(findFault(blocks, offsets, capacity)).toBeUndefined();
    expect(bytes).toBeLessThanOrEqual(capacity);
    expect(greedy(blocks, capacity).height).toBeGreaterThan(capacity);
  });

  it("counts bytes exactly beyond 32 bits", () => {
    const { blocks, capacity } = instances[1]!;
    const large = blocks.map((block) => ({ ...block, bytes: block.bytes * 2 ** 20, alignment: 256 }));
    const { offsets, bytes } = allocate(large);
    expect(bytes).toBe(capacity * 2 ** 20);
    expect(findFault(large, offsets, bytes)).toBeUndefined();
  });

  it("returns the best found, and its ratio, when nodes run out", () => {
    for (const { blocks } of instances) {
      let last = Number.POSITIVE_INFINITY;
      for (const nodes of [0, 2_000]) {
        const result = allocate(blocks, { nodes });
        expect(result.nodes).toBeLessThanOrEqual(nodes);
        expect(findFault(blocks, result.offsets, result.bytes)).toBeUndefined();
        expect(result.bytes / result.lowerBound).toBeGreaterThanOrEqual(1);
        expect(result.bytes).toBeLessThanOrEqual(last);
        last = result.bytes;
      }
      expect(allocate(blocks, { nodes: 0 }).bytes).toBeGreaterThan(maxLive(blocks));
    }
    const unfinished = allocate(cutRectangle(1000, 0), { nodes: 5_000 });
    expect(unfinished.bytes / unfinished.lowerBound).toBeGreaterThan(1);
    expect(unfinished.bytes / unfinished.lowerBound).toBeLessThan(1.2);
  });

  it("stops at the capacity it was given, though lower were possible", () => {
    const { blocks, capacity } = instances[3]!;
    const roomy = allocate(blocks, { capacity: 2 * capacity });
    expect(roomy.nodes).toBe(0);
    expect(roomy.bytes).toBeLessThanOrEqual(2 * capacity);
    // Below the bytes alive there is nothing to reach: the bound is the goal.
    const [first] = cutRectangle(1, 0);
    expect(allocate([first!], { capacity: 1 }).bytes).toBe(first!.bytes);
  });

  it("says the same twice", () => {
    const { blocks } = instances[4]!;
    expect(allocate(blocks)).toEqual(allocate(blocks));
  });

  it("gives empty buffers and empty lifetimes no room", () => {
    const blocks: Block[] = [
      { start: 0, end: 4, bytes: 8, alignment: 4 },
      { start: 1, end: 3, bytes: 0, alignment: 4 },
      { start: 2, end: 2, bytes: 8, alignment: 4 },
    ];
    expect(allocate(blocks)).toEqual({ offsets: [0, 0, 0], bytes: 8, lowerBound: 8, nodes: 0 });
    expect(allocate([])).toEqual({ offsets: [], bytes: 0, lowerBound: 0, nodes: 0 });
  });
});
