/** The shapes that a plan was chosen from, on any terminal. */
import { expect, it } from "vitest";
import { type CandidateTable, candidateLines } from "../../cli/render/candidate-table.ts";
import { painter } from "../../cli/render/human.ts";

const TABLE: CandidateTable = {
  columns: ["pinned", "ring", "micro-batch", "a step", "moved", "why"],
  rows: [
    ["0 of 22", "3", "1", "86.43 s", "3.24 GiB", "chosen: the fastest"],
    ["1 of 22", "2", "2", "86.41 s", "3.40 GiB", "as fast, moves 168 MiB more"],
    ["0 of 22", "3", "4", "~99.41 s", "3.24 GiB", "by the closed form slower by 15 %, not timed"],
  ],
};
const lines = (width: number, color = false): string =>
  `\n${candidateLines(TABLE, width, painter(color)).join("\n")}\n`;

it("is a table where there is room for the reasons", () => {
  expect(lines(100)).toBe(`
  pinned   ring  micro-batch    a step     moved  why
  0 of 22  3     1             86.43 s  3.24 GiB  chosen: the fastest
  1 of 22  2     2             86.41 s  3.40 GiB  as fast, moves 168 MiB more
  0 of 22  3     4            ~99.41 s  3.24 GiB  by the closed form slower by 15 %, not timed
`);
});

it("has each reason below its row where there is none", () => {
  expect(lines(50)).toBe(`
  pinned   ring  micro-batch    a step     moved
  0 of 22  3     1             86.43 s  3.24 GiB
      chosen: the fastest
  1 of 22  2     2             86.41 s  3.40 GiB
      as fast, moves 168 MiB more
  0 of 22  3     4            ~99.41 s  3.24 GiB
      by the closed form slower by 15 %, not timed
`);
  expect(lines(50, true)).toContain("\n      \u001b[2mchosen: the fastest\u001b[22m\n");
});

it("says what differs from the chosen one where there is no room for the values, none of them broken", () => {
  expect(lines(46)).toBe(`
    a step     moved  is other in, and why
   86.43 s  3.24 GiB  chosen: the fastest
   86.41 s  3.40 GiB  pinned 1 of 22, ring 2,
                      micro-batch 2
                      as fast, moves 168 MiB
                      more
  ~99.41 s  3.24 GiB  micro-batch 4
                      by the closed form
                      slower by 15 %, not
                      timed
`);
});
