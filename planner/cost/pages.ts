/** Rows read by whole pages, as direct I/O has to. */
import { PAGE } from "../ir/values.ts";

/**
 * Bytes that one row of a table moves, at most and at least, whichever row it is: rows begin at `offset`,
 * `offset + row_bytes`, …, which hit every offset within a page that is congruent modulo their common divisor.
 */
export function gatherPages({ offset, row_bytes }: { offset: number; row_bytes: number }): {
  readonly most: number;
  readonly least: number;
} {
  const step = greatestCommonDivisor(row_bytes, PAGE);
  const first = offset % step;
  const pages = (start: number) => Math.ceil((start + row_bytes) / PAGE) * PAGE;
  return { most: pages(first + PAGE - step), least: pages(first) };
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
