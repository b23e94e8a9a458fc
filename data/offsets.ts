/**
 * Where each token stands in the text, which the tokenizer library does not say.
 *
 * A token's vocabulary entry spells its bytes: byte-level BPE maps each byte to a printable character (Radford et al.
 * 2019), SentencePiece writes a space as `▁` and a lone byte as `<0x0A>`. Laying the bytes of the tokens along the bytes of
 * the text gives the offsets exactly, also where a character is split over tokens. Two things may differ: a space that
 * the tokenizer puts in front of a word, and white space that a special token swallows.
 *
 * Invariant: a text that cannot be laid out this way (a tokenizer that lower-cases, say) gives `undefined`, never a guess.
 */

/** How a tokenizer spells bytes in its vocabulary. */
export type Spelling = "byte-level" | "sentencepiece";

export interface TokenOffsets {
  /** Byte offsets in the UTF-8 text, `[starts[i], ends[i])`, one pair a token; empty for a token that spells nothing. */
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

const SPACE = 0x20;

/** Lays `surfaces`, the bytes of each token, along `text`. */
export function alignTokens(text: Uint8Array, surfaces: readonly Uint8Array[]): TokenOffsets | undefined {
  const starts: number[] = [];
  const ends: number[] = [];
  let at = 0;
  for (const surface of surfaces) {
    let begin = at;
    let length = matchLength(text, begin, surface);
    while (length === undefined && isWhiteSpace(text[begin])) {
      begin++;
      length = matchLength(text, begin, surface);
    }
    if (length === undefined) return undefined;
    at = begin + length;
    starts.push(begin);
    ends.push(at);
  }
  while (isWhiteSpace(text[at])) at++;
  return at === text.length ? { starts, ends } : undefined;
}

/** Bytes of `text` that `surface` covers at `at`: all of its own, or all but a space put in front. */
function matchLength(text: Uint8Array, at: number, surface: Uint8Array): number | undefined {
  if (matches(text, at, surface, 0)) return surface.length;
  if (surface[0] === SPACE && matches(text, at, surface, 1)) return surface.length - 1;
  return undefined;
}

function matches(text: Uint8Array, at: number, surface: Uint8Array, from: number): boolean {
  for (let i = from; i < surface.length; i++) {
    if (text[at + i - from] !== surface[i]) return false;
  }
  return true;
}

function isWhiteSpace(byte: number | undefined): boolean {
  return byte === SPACE || (byte !== undefined && byte >= 0x09 && byte <= 0x0d);
}

/** The bytes that a vocabulary entry spells; special tokens spell their own text instead. */
export function spelledBytes(entry: string, spelling: Spelling): Uint8Array {
  if (spelling === "byte-level") {
    // A character outside the table belongs to a token that was added as plain text.
    return Uint8Array.from(
      [...entry].flatMap((character) => BYTE_OF.get(character) ?? [...Buffer.from(character)]),
    );
  }
  const lone = /^<0x([0-9A-F]{2})>$/.exec(entry);
  return lone
    ? Uint8Array.of(Number.parseInt(lone[1]!, 16))
    : Buffer.from(entry.replaceAll("▁", " "), "utf8");
}

/** GPT-2's table: printable Latin-1 stands for itself, the other 68 bytes for U+0100 onwards, in order. */
const BYTE_OF: ReadonlyMap<string, number> = (() => {
  const table = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    table.set(String.fromCodePoint(printable ? byte : next++), byte);
  }
  return table;
})();
