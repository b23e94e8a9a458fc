/** Direct I/O reads whole pages: what rows of a table move. */

const pageBytes = 4096;

interface Table {
  readonly offset: number;
  readonly row_bytes: number;
  readonly table_rows: number;
}

/** Bytes that one row moves at most. */
export function largestPagedRow(table: Table): number {
  return mostPages(table) * pageBytes;
}

/**
 * Bytes of the distinct pages that hold `count` rows, whichever need most of them. Each further row adds no more than the
 * one before it (rows are intervals of pages), so the answer is the least, over all prices of a row, of what the best rows
 * are worth at that price and what they cost.
 */
export function worstCasePagedRows(table: Table, count: number): number {
  const most = mostPages(table);
  // Beside others, a row needs between its inner pages and all of its own; rows differ by a page.
  const prices = new Set([0, 1, 2, 3].map((less) => Math.max(0, most - less)).concat(0));
  const enough = Math.min(table.table_rows, 2 * count * rowStarts(table).length);
  const pages = [...prices].map((price) => price * count + bestWorth(table, enough, price));
  return Math.min(...pages) * pageBytes;
}

/** The most that distinct pages can exceed the price of the rows that they hold, among the first rows of the table. */
function bestWorth(table: Table, rows: number, price: number): number {
  /** Of rows that end before the page `last`, and of rows that end in it. */
  let [before, within] = [0, Number.NEGATIVE_INFINITY];
  let last = -1;
  const enter = (page: number) => {
    if (page <= last) return;
    [before, within, last] = [Math.max(before, within), Number.NEGATIVE_INFINITY, page];
  };
  for (let row = 0; row < rows; row++) {
    const start = table.offset + row * table.row_bytes;
    const first = Math.floor(start / pageBytes);
    const end = Math.ceil((start + table.row_bytes) / pageBytes);
    enter(first);
    const worth = end - first - price + Math.max(before, within - 1);
    enter(end - 1);
    within = Math.max(within, worth);
  }
  return Math.max(before, within);
}

/** Pages of the row that lies in most of them. */
function mostPages(table: Table): number {
  return Math.max(...rowStarts(table).map((start) => Math.ceil((start + table.row_bytes) / pageBytes)));
}

/** Where the rows begin inside their pages, up to the row with which that repeats. */
function rowStarts({ offset, row_bytes, table_rows }: Table): number[] {
  const starts = [offset % pageBytes];
  for (let row = 1; row < table_rows; row++) {
    const start = (offset + row * row_bytes) % pageBytes;
    if (start === starts[0]) break;
    starts.push(start);
  }
  return starts;
}
