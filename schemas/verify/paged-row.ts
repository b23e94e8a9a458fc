/** Direct I/O reads whole pages: what rows of a table move. */

const pageBytes = 4096;

interface Table {
  readonly offset: number;
  readonly row_bytes: number;
  readonly table_rows: number;
}

/** Bytes that one row moves at most. */
export function largestPagedRow(table: Table): number {
  return rowSizes(table)[0]![0];
}

/** Bytes that the `count` largest different rows move. */
export function largestPagedRows(table: Table, count: number): number {
  let left = count;
  let sum = 0;
  for (const [bytes, rows] of rowSizes(table)) {
    sum += bytes * Math.min(left, rows);
    left -= Math.min(left, rows);
  }
  return sum;
}

/** How many rows of the table move how many bytes, the largest first. */
function rowSizes({ offset, row_bytes, table_rows }: Table): [number, number][] {
  const sizes = new Map<number, number>();
  const starts = rowStarts(offset, row_bytes, table_rows);
  starts.forEach((start, row) => {
    const bytes = Math.ceil((start + row_bytes) / pageBytes) * pageBytes;
    const alike = Math.ceil((table_rows - row) / starts.length);
    sizes.set(bytes, (sizes.get(bytes) ?? 0) + alike);
  });
  return [...sizes].sort(([a], [b]) => b - a);
}

/** Where the rows begin inside their pages, up to the row with which that repeats. */
function rowStarts(offset: number, rowBytes: number, rows: number): number[] {
  const starts = [offset % pageBytes];
  for (let row = 1; row < rows; row++) {
    const start = (offset + row * rowBytes) % pageBytes;
    if (start === starts[0]) break;
    starts.push(start);
  }
  return starts;
}
