/** Rows read by whole pages, as direct I/O has to. */
import { PAGE } from "../ir/values.ts";

export interface Table {
  /** Byte of the file at which the first row begins. */
  readonly offset: number;
  readonly row_bytes: number;
  readonly table_rows: number;
}

/** Bytes that one row moves at most, whichever it is. */
export function largestRow(table: Table): number {
  return rowSizes(table)[0]!.bytes;
}

/** Bytes that the most expensive `count` different rows move: what no way of fetching could save for such tokens. */
export function largestRows(table: Table, count: number): number {
  let left = Math.min(count, table.table_rows);
  return rowSizes(table).reduce((sum, { bytes, rows }) => {
    const taken = Math.min(left, rows);
    left -= taken;
    return sum + taken * bytes;
  }, 0);
}

/** How many rows move how many bytes, the largest first: where rows begin within a page repeats after some rows. */
function rowSizes({ offset, row_bytes, table_rows }: Table): readonly { bytes: number; rows: number }[] {
  const period = Math.min(table_rows, PAGE / greatestCommonDivisor(row_bytes, PAGE));
  const sizes = new Map<number, number>();
  for (let row = 0; row < period; row++) {
    const start = (offset + row * row_bytes) % PAGE;
    const bytes = Math.ceil((start + row_bytes) / PAGE) * PAGE;
    sizes.set(bytes, (sizes.get(bytes) ?? 0) + Math.ceil((table_rows - row) / period));
  }
  return [...sizes].map(([bytes, rows]) => ({ bytes, rows })).sort((a, b) => b.bytes - a.bytes);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
