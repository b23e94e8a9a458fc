/** What rows of a table move: the planner's count, the verifier's, and every choice of rows. */
import { describe, expect, it } from "vitest";
import { largestRow, type Table, worstCaseRows } from "../../planner/cost/pages.ts";
import { largestPagedRow, worstCasePagedRows } from "../../schemas/verify/paged-row.ts";

const PAGE = 4096;

/** Most bytes of distinct pages over all choices of `count` rows. */
function exhaustive(table: Table, count: number): number {
  const choose = (from: number, left: number, pages: ReadonlySet<number>): number => {
    if (left === 0 || from === table.table_rows) return pages.size;
    const start = table.offset + from * table.row_bytes;
    const more = new Set(pages);
    for (let page = Math.floor(start / PAGE); page * PAGE < start + table.row_bytes; page++) more.add(page);
    return Math.max(choose(from + 1, left, pages), choose(from + 1, left - 1, more));
  };
  return choose(0, count, new Set()) * PAGE;
}

const offsets = [0, 8, 1000, 4095];
const sizes = [256, 512, 1024, 1100, 1792, 3000, 4096, 5000, 6144, 8192, 9000, 12_300];
const tables = offsets.flatMap((offset) =>
  sizes.flatMap((row_bytes) => [1, 9].map((table_rows) => ({ offset, row_bytes, table_rows }))),
);

describe.each(tables)("rows of $row_bytes bytes from $offset on, $table_rows of them", (table) => {
  it("need as many pages as the choice of rows that needs most", () => {
    for (let count = 1; count <= table.table_rows + 1; count++) {
      const most = exhaustive(table, count);
      expect([worstCaseRows(table, count), worstCasePagedRows(table, count)]).toEqual([most, most]);
    }
    const one = Math.max(
      ...[...Array(table.table_rows).keys()].map((row) => {
        const offset = table.offset + row * table.row_bytes;
        return exhaustive({ ...table, offset, table_rows: 1 }, 1);
      }),
    );
    expect([largestRow(table), largestPagedRow(table)]).toEqual([one, one]);
  });
});

it("of a table whose rows are smaller than a page never need more than the table", () => {
  const table = { offset: 2600, row_bytes: 512, table_rows: 1280 };
  const whole = 161 * PAGE;
  expect(worstCaseRows(table, 80)).toBe(160 * PAGE);
  expect(worstCaseRows(table, 1280)).toBe(whole);
  expect(worstCasePagedRows(table, 4096)).toBe(whole);
});

it("of the largest tables are counted alike, for as many tokens as a step has", () => {
  const table = { offset: 2600, row_bytes: 1792, table_rows: 151_936 };
  for (const count of [1, 512, 32_768, 100_000, 151_936, 1_000_000]) {
    expect(worstCaseRows(table, count)).toBe(worstCasePagedRows(table, count));
  }
});
