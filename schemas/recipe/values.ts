/**
 * The value notations of a recipe: sizes with units, percentages, counts with a word.
 *
 * Each notation is one zod schema whose input side (text or number) shows in the JSON Schema and whose output is in
 * plain units. A notation's `expected…` text completes the sentence "`memory.ram` is `lots`; expected …".
 */
import * as z from "zod";
import { type Bytes, parseBytes } from "../units.ts";

/** Text or a number, read by `read`; `title` and `pattern` are what editors see, `read` decides. */
function notation<Out>(
  title: string,
  pattern: RegExp,
  expected: string,
  read: (value: string | number) => Out | undefined,
) {
  const error = `expected ${expected}`;
  return z
    .union([z.string({ error }).regex(pattern, { error }), z.number({ error }).nonnegative({ error })], {
      error,
    })
    .meta({ title })
    .transform((value, context): Out => {
      const result = read(value);
      if (result !== undefined) return result;
      context.addIssue({ code: "custom", message: error });
      return z.NEVER;
    });
}

const SIZE_PATTERN = /^\s*\d+(\.\d+)?\s*([KMGTkmgt]?i?[Bb])?\s*$/;

/** `7 GiB`, `6.36 GB`, `350 MiB` or whole bytes → bytes, more than none. */
export const size = notation<Bytes>("size", SIZE_PATTERN, "a size such as `7 GiB` or `6.36 GB`", (value) => {
  const result = parseBytes(value);
  return result === undefined || result === 0 ? undefined : result;
});

/** Like {@link size}, and 0 is a size. */
export const sizeOrNone = notation<Bytes>("size", SIZE_PATTERN, "a size such as `600 MiB`, or 0", parseBytes);

/** A part of a whole in [0, 1): `3%` → 0.03. */
export interface Share {
  readonly share: number;
}

/** `3%` → 0.03; undefined when the text is no percentage below 100 %. */
function readShare(text: string): Share | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*%\s*$/.exec(text);
  const share = match ? Number(match[1]) / 100 : Number.NaN;
  return share < 1 ? { share } : undefined;
}

/** A reader of `2%`, of a fraction below 1, and of a count with or without its noun (`200 rows`). */
function shareOrCount<Out>(noun: string, count: (value: number) => Out) {
  const counted = new RegExp(`^\\s*(\\d+)\\s*(?:${noun}s?)?\\s*$`);
  return (value: string | number): Share | Out | undefined => {
    if (typeof value === "number") {
      if (Number.isSafeInteger(value)) return count(value);
      return value > 0 && value < 1 ? { share: value } : undefined;
    }
    const match = counted.exec(value);
    return match && Number.isSafeInteger(Number(match[1])) ? count(Number(match[1])) : readShare(value);
  };
}

/** `2%`, `0.02`, `200` or `200 rows`. */
export const shareOrRows = notation<Share | { readonly rows: number }>(
  "share | rows",
  /^\s*(\d+(\.\d+)?\s*%|\d+\s*(rows?)?)\s*$/,
  "a share of the rows such as `2%`, or a count such as `200 rows`",
  shareOrCount("row", (rows) => ({ rows })),
);

/** `3%`, `0.03`, `100` or `100 steps`. */
export const shareOrSteps = notation<Share | { readonly steps: number }>(
  "share | steps",
  /^\s*(\d+(\.\d+)?\s*%|\d+\s*(steps?)?)\s*$/,
  "a share of the run such as `3%`, or a count such as `100 steps`",
  shareOrCount("step", (steps) => ({ steps })),
);

/** `500 steps`, `500`, or `never` → null. */
export const everySteps = notation<number | null>(
  "interval",
  /^\s*(never|\d+\s*(steps?)?)\s*$/,
  "an interval such as `500 steps`, or `never`",
  (value) => {
    if (typeof value === "string" && value.trim() === "never") return null;
    const match = /^\s*(\d+)\s*(?:steps?)?\s*$/.exec(String(value));
    const steps = match ? Number(match[1]) : 0;
    return Number.isSafeInteger(steps) && steps > 0 ? steps : undefined;
  },
);

/** Text that is not blank. */
export const text = (expected: string) =>
  z.string({ error: `expected ${expected}` }).regex(/\S/, { error: `expected ${expected}` });
