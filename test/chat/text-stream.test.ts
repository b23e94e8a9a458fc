/** Text out of tokens, piece by piece: nothing lost, nothing early, nothing behind a stop string. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TextStream } from "../../chat/text-stream.ts";

/** One token a byte: every character beyond ASCII takes several. */
const spellBytes = (ids: readonly number[]): string => new TextDecoder().decode(Uint8Array.from(ids));
const tokensOf = (text: string): number[] => [...new TextEncoder().encode(text)];

function pieces(text: string, stops: readonly string[]): { pieces: string[]; stopped: boolean } {
  const stream = new TextStream(spellBytes, stops);
  const out: string[] = [];
  for (const id of tokensOf(text)) {
    out.push(stream.push(id));
    if (stream.stopped) return { pieces: out, stopped: true };
  }
  return { pieces: [...out, stream.end()], stopped: stream.stopped };
}

/** Words of a small alphabet, in which stop strings occur by chance and overlap themselves. */
const word = fc.string({ unit: fc.constantFrom("a", "b", "é", "𝄞"), maxLength: 12 });

describe("a text stream", () => {
  it("gives every character whole", () => {
    expect(pieces("aé𝄞", []).pieces).toEqual(["a", "", "é", "", "", "", "𝄞", ""]);
  });

  it("holds back what may become a stop string, and gives it when it does not", () => {
    expect(pieces("x<en<end>y", ["<end>"])).toEqual({
      pieces: ["x", "", "", "", "<en", "", "", "", ""],
      stopped: true,
    });
    expect(pieces("a<en", ["<end>"]).pieces.join("")).toBe("a<en");
  });

  it("ends before the stop string that comes first, whatever the order they are given in", () => {
    for (const stops of [
      ["bc", "c"],
      ["c", "bc"],
    ])
      expect(pieces("abc", stops).pieces.join("")).toBe("a");
  });

  it("gives the text up to the first stop string", () => {
    fc.assert(
      fc.property(word, fc.array(word.filter(Boolean), { maxLength: 3 }), (text, stops) => {
        const given = pieces(text, stops);
        // The stop string that is complete first ends the text.
        const ends = stops
          .map((stop) => ({ start: text.indexOf(stop), end: text.indexOf(stop) + stop.length }))
          .filter(({ start }) => start >= 0);
        const end = Math.min(...ends.map((one) => one.end));
        const start = Math.min(text.length, ...ends.filter((one) => one.end === end).map((one) => one.start));
        expect(given.pieces.join("")).toBe(text.slice(0, start));
        expect(given.stopped).toBe(ends.length > 0);
      }),
    );
  });

  it("spells a token after the one before it", () => {
    // As SentencePiece: a space in front of every word but the first.
    const words = ["one", "two", "three"];
    const spell = (ids: readonly number[]) => ids.map((id) => words[id]).join(" ");
    const stream = new TextStream(spell, []);
    expect([0, 1, 2, 0].map((id) => stream.push(id))).toEqual(["one", " two", " three", " one"]);
  });

  it("gives an unfinished character at the end as what it spells", () => {
    const stream = new TextStream(spellBytes, []);
    expect(stream.push(tokensOf("é")[0]!)).toBe("");
    expect(stream.end()).toBe("\uFFFD");
    expect(stream.end()).toBe("");
  });
});
