import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { counterRandom, philox4x32, shuffle } from "../../schemas/counter-rng.ts";

const words = (counter: number[], key: number[]): string[] => {
  const [c0, c1, c2, c3] = counter as [number, number, number, number];
  const out = new Uint32Array(4);
  philox4x32(c0, c1, c2, c3, key[0]!, key[1]!, out, 0);
  return [...out].map((word) => word.toString(16).padStart(8, "0"));
};

describe("philox4x32", () => {
  // The known answers of the Random123 distribution (kat_vectors, philox4x32 10).
  it("gives the published answers", () => {
    expect(words([0, 0, 0, 0], [0, 0])).toEqual(["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]);
    const ones = 0xffff_ffff;
    expect(words([ones, ones, ones, ones], [ones, ones])).toEqual([
      "408f276d",
      "41c83b0e",
      "a20bc7c6",
      "6d5451fd",
    ]);
    expect(words([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])).toEqual([
      "d16cfe09",
      "94fdcceb",
      "5001e420",
      "24126ea1",
    ]);
  });
});

describe("counterRandom", () => {
  it("is a pure function of seed, stream and index", () => {
    const forward = counterRandom(7, "a");
    const backward = counterRandom(7, "a");
    const indices = [0, 1, 2, 3, 4, 5, 1e6, 2 ** 40 + 3];
    const expected = indices.map((index) => forward.uint32(index));
    expect(indices.toReversed().map((index) => backward.uint32(index))).toEqual(expected.toReversed());
  });

  it("never changes: saved runs depend on it", () => {
    expect([0, 1, 2].map((index) => counterRandom(42, "golden").uint32(index))).toEqual([
      2213193259, 2350445745, 3666859494,
    ]);
  });

  it("separates seeds, streams and far-apart indices", () => {
    const first = (seed: number, stream: string, index = 0) => counterRandom(seed, stream).uint32(index);
    const drawn = [
      first(1, "a"),
      first(2, "a"),
      first(1 + 2 ** 32, "a"),
      first(1, "b"),
      first(1, "a", 2 ** 34),
      first(1, "a", 4),
    ];
    expect(new Set(drawn).size).toBe(drawn.length);
  });

  it("fills an array with the same numbers that are drawn one by one", () => {
    const random = counterRandom(3, "fill");
    const target = new Uint32Array(11);
    random.fill(target, 8);
    expect([...target]).toEqual(Array.from({ length: 11 }, (_, index) => random.uint32(8 + index)));
    expect(() => random.fill(target, 2)).toThrow(/multiple of 4/);
  });

  it("has the mean and the variance of the uniform distribution", () => {
    const random = counterRandom(11, "moments");
    const draws = Array.from({ length: 40_000 }, (_, index) => random.float(index));
    const mean = draws.reduce((a, b) => a + b) / draws.length;
    const variance = draws.reduce((sum, x) => sum + (x - mean) ** 2, 0) / draws.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.005);
    expect(Math.abs(variance - 1 / 12)).toBeLessThan(0.001);
    expect(Math.max(...draws)).toBeLessThan(1);
  });
});

describe("shuffle", () => {
  it("is a permutation", () => {
    fc.assert(
      fc.property(fc.nat({ max: 300 }), fc.nat(), (n, seed) => {
        expect([...shuffle(n, seed, "epoch 0")].sort((a, b) => a - b)).toEqual(
          Array.from({ length: n }, (_, i) => i),
        );
      }),
    );
  });

  it("gives every order of three about equally often", () => {
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 6000; seed++) {
      const order = shuffle(3, seed, "s").join();
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  it("orders each epoch differently", () => {
    expect(shuffle(50, 1, "epoch 0")).not.toEqual(shuffle(50, 1, "epoch 1"));
  });
});
