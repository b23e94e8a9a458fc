/**
 * Branded units and their text forms. Bytes are integers everywhere; only text rounds.
 *
 * `7 GiB` = 7 · 2^30, `6.36 GB` = 6.36 · 10^9 (rounded down to a whole byte).
 */
declare const brand: unique symbol;
type Branded<Name extends string> = number & { readonly [brand]: Name };

/** A whole, non-negative number of bytes, exact up to 2^53 − 1. */
export type Bytes = Branded<"Bytes">;
/** A byte position inside a file or an arena. */
export type Offset = Branded<"Offset">;
/** A whole, non-negative number of nanoseconds. */
export type Nanoseconds = Branded<"Nanoseconds">;

const UNIT_FACTORS: ReadonlyMap<string, number> = new Map([
  ["b", 1],
  ["kb", 1e3],
  ["mb", 1e6],
  ["gb", 1e9],
  ["tb", 1e12],
  ["kib", 2 ** 10],
  ["mib", 2 ** 20],
  ["gib", 2 ** 30],
  ["tib", 2 ** 40],
]);

/** Asserts that `value` is a byte count; a violation is a bug in lema. */
export function bytes(value: number): Bytes {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`bug in lema: ${value} is not a byte count`);
  }
  return value as Bytes;
}

/** Asserts that `value` is a byte position; a violation is a bug in lema. */
export function offset(value: number): Offset {
  return bytes(value) as number as Offset;
}

/** Rounds a duration to whole nanoseconds. */
export function nanoseconds(value: number): Nanoseconds {
  const rounded = Math.round(value);
  if (!Number.isSafeInteger(rounded) || rounded < 0) {
    throw new RangeError(`bug in lema: ${value} is not a duration`);
  }
  return rounded as Nanoseconds;
}

/** Reads `7 GiB`, `6.36 GB`, `350MiB` or a whole number of bytes; `undefined` when it is none of these. */
export function parseBytes(text: string | number): Bytes | undefined {
  if (typeof text === "number") return Number.isSafeInteger(text) && text >= 0 ? bytes(text) : undefined;
  const match = /^\s*(\d+(?:\.\d+)?)\s*([KMGT]?i?B)?\s*$/i.exec(text);
  if (!match) return undefined;
  const [, amount, unit = "B"] = match;
  const factor = UNIT_FACTORS.get(unit.toLowerCase());
  if (factor === undefined) return undefined;
  // Exact decimal arithmetic: in binary floating point 2.01 · 10^9 falls one byte short.
  const [whole = "", fraction = ""] = amount!.split(".");
  const value = Number((BigInt(whole + fraction) * BigInt(factor)) / 10n ** BigInt(fraction.length));
  return Number.isSafeInteger(value) ? bytes(value) : undefined;
}

/** `1610612736` → `1.50 GiB`. Binary units, three significant digits, and says so. */
export function formatBytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let scaled = value;
  let unit = 0;
  while (scaled >= 1024 && unit < units.length - 1) {
    scaled /= 1024;
    unit++;
  }
  const digits = unit === 0 ? 0 : scaled < 10 ? 2 : scaled < 100 ? 1 : 0;
  return `${scaled.toFixed(digits)} ${units[unit]}`;
}

/** `1234567890` ns → `1.23 s`. */
export function formatNanoseconds(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toFixed(2)} s`;
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)} ms`;
  if (value >= 1e3) return `${(value / 1e3).toFixed(1)} µs`;
  return `${value} ns`;
}

/** Rounds up to a multiple of `alignment` (a power of two or any positive integer). */
export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}
