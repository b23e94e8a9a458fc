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
  for (let row = 0; row < table_rows; row++) {
    const start = (offset + row * row_bytes) % pageBytes;
    const bytes = Math.ceil((start + row_bytes) / pageBytes) * pageBytes;
    sizes.set(bytes, (sizes.get(bytes) ?? 0) + 1);
  }
  return [...sizes].sort(([a], [b]) => b - a);
}
