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
  return mostPages(table) * PAGE;
}

/**
 * Bytes that `count` tokens can ask for at most: what no way of fetching could save for them. Rows that lie in the same
 * page need it once, so the rows are taken that need most pages beside those taken before.
 */
export function worstCaseRows(table: Table, count: number): number {
  const most = mostPages(table);
  const taken = new Set<number>();
  /** Pages in which a taken row begins or ends: all that another row may need too. */
  const read = new Set<number>();
  let pages = 0;
  // A row has at most one page less than another, and needs at most two less beside others.
  for (let fresh = most; fresh >= Math.max(1, most - 3); fresh--) {
    for (let row = 0; row < table.table_rows && taken.size < count; row++) {
      const { first, last } = pagesOf(table, row);
      const known = (read.has(first) ? 1 : 0) + (last > first && read.has(last) ? 1 : 0);
      if (taken.has(row) || last - first + 1 - known < fresh) continue;
      taken.add(row);
      read.add(first).add(last);
      pages += fresh;
    }
  }
  return pages * PAGE;
}

/** Pages of the row that needs most: where rows begin within a page repeats after some rows. */
function mostPages(table: Table): number {
  const period = Math.min(table.table_rows, PAGE / greatestCommonDivisor(table.row_bytes, PAGE));
  let most = 0;
  for (let row = 0; row < period; row++) {
    const { first, last } = pagesOf(table, row);
    most = Math.max(most, last - first + 1);
  }
  return most;
}

/** The pages of the file in which a row begins and ends. */
function pagesOf(
  { offset, row_bytes }: Table,
  row: number,
): { readonly first: number; readonly last: number } {
  const start = offset + row * row_bytes;
  return { first: Math.floor(start / PAGE), last: Math.ceil((start + row_bytes) / PAGE) - 1 };
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
