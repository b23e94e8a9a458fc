/** Direct I/O reads whole pages: what a row of a table moves, whichever row it is. */

const pageBytes = 4096;

/** Most and least bytes over the rows that begin at offset, offset + row_bytes, …; a page's worth of rows shows all. */
export function pagedRow({ offset, row_bytes }: { offset: number; row_bytes: number }): {
  readonly most: number;
  readonly least: number;
} {
  let most = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let row = 0; row < pageBytes; row++) {
    const start = (offset + row * row_bytes) % pageBytes;
    const bytes = Math.ceil((start + row_bytes) / pageBytes) * pageBytes;
    most = Math.max(most, bytes);
    least = Math.min(least, bytes);
  }
  return { most, least };
}
