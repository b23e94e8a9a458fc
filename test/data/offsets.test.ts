import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { alignTokens, spelledBytes } from "../../data/offsets.ts";

const utf8 = (text: string): Uint8Array => Buffer.from(text, "utf8");
const align = (text: string, tokens: string[]) => alignTokens(utf8(text), tokens.map(utf8));

describe("alignTokens", () => {
  it("lays any cut of the bytes along the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.array(fc.nat(40)), (text, cuts) => {
        const bytes = utf8(text);
        const bounds = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length].sort(
          (a, b) => a - b,
        );
        const starts = bounds.slice(0, -1);
        const ends = bounds.slice(1);
        const surfaces = starts.map((start, i) => bytes.subarray(start, ends[i]));
        expect(alignTokens(bytes, surfaces)).toEqual({ starts, ends });
      }),
    );
  });

  it("leaves out a space that the tokenizer put in front", () => {
    expect(align("ab c", [" ab", " c"])).toEqual({ starts: [0, 2], ends: [2, 4] });
    expect(align("\nx", [" ", "\n", "x"])).toEqual({ starts: [0, 0, 1], ends: [0, 1, 2] });
  });

  it("skips white space that a special token swallowed", () => {
    expect(align("a <m> \n b", ["a", "<m>", "b"])).toEqual({ starts: [0, 2, 8], ends: [1, 5, 9] });
  });

  it("never guesses", () => {
    expect(align("Ab", ["ab"])).toBeUndefined();
    expect(align("ab", ["a"])).toBeUndefined();
    expect(align("a", ["a", "b"])).toBeUndefined();
  });
});

describe("spelledBytes", () => {
  it("reads GPT-2's byte alphabet", () => {
    expect([...spelledBytes("Ġaé", "byte-level")]).toEqual([0x20, 0x61, 0xe9]);
    expect([...spelledBytes("Ċ", "byte-level")]).toEqual([0x0a]);
    expect([...spelledBytes("Ń", "byte-level")]).toEqual([0xad]);
    expect([...spelledBytes("ĩ", "byte-level")]).toEqual([0x87]);
  });

  it("reads SentencePiece's spaces and bytes", () => {
    expect(Buffer.from(spelledBytes("▁a▁", "sentencepiece")).toString()).toBe(" a ");
    expect([...spelledBytes("<0xE9>", "sentencepiece")]).toEqual([0xe9]);
    expect(Buffer.from(spelledBytes("<0xE9>x", "sentencepiece")).toString()).toBe("<0xE9>x");
  });
});
