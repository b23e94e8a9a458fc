import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { editDistance, nearest } from "../../schemas/suggest.ts";

describe("edit distance", () => {
  it.each([
    ["", "", 0],
    ["rank", "rank", 0],
    ["rnk", "rank", 1],
    ["kitten", "sitting", 3],
    ["", "abc", 3],
  ])("of %j and %j is %i", (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
  });

  it("is a metric", () => {
    const word = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 6 });
    fc.assert(
      fc.property(word, word, word, (a, b, c) => {
        expect(editDistance(a, b)).toBe(editDistance(b, a));
        expect(editDistance(a, b) === 0).toBe(a === b);
        expect(editDistance(a, c)).toBeLessThanOrEqual(editDistance(a, b) + editDistance(b, c));
      }),
    );
  });
});

it("suggests a slip, not a different word, and never works long on long input", () => {
  expect(nearest("validtion", ["validation", "vocabulary"])).toBe("validation");
  expect(nearest("RANK", ["rank"])).toBe("rank");
  expect(nearest("colour", ["rank", "alpha"])).toBeUndefined();
  expect(nearest("rank".repeat(100_000), ["rank"])).toBeUndefined();
});
