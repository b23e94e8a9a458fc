import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeFloats, encodeFloats, type FloatDType } from "../../models/float-codec.ts";

const halves = Uint16Array.from({ length: 2 ** 16 }, (_, index) => index);
const bytes = new Uint8Array(halves.buffer);

/** Value of a small float format, from its definition. */
function definition(half: number, exponentBits: number, fractionBits: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const bias = 2 ** (exponentBits - 1) - 1;
  const exponent = (half >>> fractionBits) & (2 ** exponentBits - 1);
  const fraction = (half & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}

describe.each<[FloatDType, number, number]>([
  ["f16", 5, 10],
  ["bf16", 8, 7],
])("%s", (dtype, exponentBits, fractionBits) => {
  const finite = [...halves].filter((half) => Number.isFinite(definition(half, exponentBits, fractionBits)));

  it("widens every value exactly and narrows it back to the same bits", () => {
    const wide = decodeFloats(bytes, dtype);
    expect([...wide]).toEqual([...halves].map((half) => definition(half, exponentBits, fractionBits)));
    const back = new Uint16Array(encodeFloats(wide, dtype).buffer);
    for (const half of halves) {
      if (Number.isNaN(wide[half])) expect(definition(back[half]!, exponentBits, fractionBits)).toBeNaN();
      else expect(back[half]).toBe(half);
    }
  });

  it("rounds to nearest, ties to even", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...finite.filter((half) => half < 0x7fff)),
        fc.float({ min: 0, max: 1, noNaN: true }),
        (half, t) => {
          const low = definition(half, exponentBits, fractionBits);
          const high = definition(half + 1, exponentBits, fractionBits);
          fc.pre(Number.isFinite(high));
          const between = Math.fround(low + (high - low) * t);
          const middle = (low + high) / 2;
          const expected = between < middle ? half : between > middle ? half + 1 : half + (half & 1);
          expect(new Uint16Array(encodeFloats(Float32Array.of(between), dtype).buffer)[0]).toBe(expected);
          const tie = Float32Array.of(middle);
          expect(new Uint16Array(encodeFloats(tie, dtype).buffer)[0]).toBe(
            tie[0] === middle ? half + (half & 1) : half,
          );
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("overflows to infinity", () => {
    const largest = definition(finite.filter((half) => half < 0x8000).at(-1)!, exponentBits, fractionBits);
    const step =
      largest - definition(finite.filter((half) => half < 0x8000).at(-2)!, exponentBits, fractionBits);
    const values = Float32Array.of(largest + step * 0.49, largest + step / 2, -Infinity);
    expect([...decodeFloats(encodeFloats(values, dtype), dtype)]).toEqual([largest, Infinity, -Infinity]);
  });
});

it("keeps float32 as it is, from memory at any alignment", () => {
  const values = Float32Array.of(1, -0, 1e-45, Number.POSITIVE_INFINITY);
  const shifted = Uint8Array.from([0, ...encodeFloats(values, "f32")]).subarray(1);
  expect(decodeFloats(shifted, "f32")).toEqual(values);
});
