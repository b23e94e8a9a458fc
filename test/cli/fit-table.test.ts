/** Tables and lines on terminals that are too narrow for them. */
import { describe, expect, it } from "vitest";
import { type Fit, fitRows, fitTable, missingText } from "../../cli/render/fit-table.ts";
import { formatTable, wrap, wrapLine } from "../../cli/render/table.ts";

const HEAD = ["unit", "loads into vram", "computing", "what"];
const ROWS = [
  ["L00", "1", "177.6 ms", "weights that take turns"],
  ["embedding", "12", "9.2 ms", ""],
];
const WIDE = 64;
const ways = (width: number, spare: readonly number[] = [1, 2]): Fit => {
  return { alignment: "lrrl", indent: "  ", width, spare };
};
const lines = (width: number, spare?: readonly number[]): string => {
  const { head, rows } = fitTable(HEAD, ROWS, ways(width, spare));
  return `\n${[...head, ...rows.flat()].join("\n")}\n`;
};

describe("a table with heads", () => {
  it("is left as it is where there is room, or no terminal", () => {
    const natural = formatTable([HEAD, ...ROWS], "lrrl", "  ");
    expect(Math.max(...natural.map(({ length }) => length))).toBe(WIDE);
    for (const width of [WIDE, WIDE + 1, Number.POSITIVE_INFINITY]) {
      const { head, rows, missing } = fitTable(HEAD, ROWS, ways(width));
      expect([...head, ...rows.flat()]).toEqual(natural);
      expect(missing).toEqual([]);
    }
  });

  it("folds heads that are wider than what is below them", () => {
    expect(lines(WIDE - 1)).toBe(`
             loads
              into
  unit        vram  computing  what
  L00            1   177.6 ms  weights that take turns
  embedding     12     9.2 ms
`);
  });

  it("leaves out the columns that say least, no more than it has to, and tells which", () => {
    const one = fitTable(HEAD, ROWS, ways(50));
    expect(one.missing).toEqual(["loads into vram"]);
    expect(one.rows).toEqual([
      ["  L00         177.6 ms  weights that take turns"],
      ["  embedding     9.2 ms"],
    ]);
    expect(fitTable(HEAD, ROWS, ways(40)).missing).toEqual(["loads into vram", "computing"]);
    expect(missingText(one.missing, "  ", 50)).toEqual([
      "  this terminal is too narrow for: loads into vram",
    ]);
    expect(missingText([], "  ", 50)).toEqual([]);
  });

  it("puts the last column below where it has no room, under its name", () => {
    expect(lines(41, [])).toBe(`
             loads
              into
  unit        vram  computing  what
  L00            1   177.6 ms
      what: weights that take turns
  embedding     12     9.2 ms
`);
  });

  it("breaks the words of a last column that has some room", () => {
    const rows = [["L00", "1", "177.6 ms", "weights that take turns in two slots of it"]];
    const fitted = fitTable(HEAD, rows, ways(60, []));
    expect(fitted.rows).toEqual([
      ["  L00       1   177.6 ms  weights that take turns in two", "                          slots of it"],
    ]);
  });
});

describe("rows without heads", () => {
  const rows = [
    ["model.layers.0.mlp.gate_proj.weight", "86.0 MiB", "model.safetensors at 614507440", "→ ram/pin + 8192"],
  ];

  it("go on below, cell by cell, where they are much too wide", () => {
    expect(fitRows(rows, { alignment: "lrl", indent: "", width: 50 })).toEqual([
      "model.layers.0.mlp.gate_proj.weight  86.0 MiB",
      "    model.safetensors at 614507440",
      "    → ram/pin + 8192",
    ]);
    expect(fitRows(rows, { alignment: "lrl", indent: "", width: 200 })).toEqual(formatTable(rows, "lrl"));
  });
});

describe("a line", () => {
  it("is broken at spaces, but not between a number and its unit", () => {
    expect(wrap("it takes 15.48 s or 12 % of 1.00 GiB", 14)).toEqual([
      "it takes",
      "15.48 s or",
      "12 % of",
      "1.00 GiB",
    ]);
    expect(wrap("all 7 shapes", 6)).toEqual(["all 7", "shapes"]);
  });

  it("goes on below its text", () => {
    expect(wrapLine("    two words", 11)).toEqual(["    two", "    words"]);
    expect(wrapLine("  L07  two words", 15)).toEqual(["  L07  two", "       words"]);
    expect(wrapLine("  a long label  two words", 20)).toEqual(["  a long label  two", "  words"]);
    expect(wrapLine("two words", Number.POSITIVE_INFINITY)).toEqual(["two words"]);
  });

  it("is as long as it looks: colours take no room", () => {
    const bold = "\u001b[1mtwo\u001b[22m";
    expect(wrapLine(`${bold}  of them`, 12)).toEqual([`${bold}  of them`]);
    expect(wrapLine(`${bold}  of them`, 10)).toEqual([`${bold}  of`, "     them"]);
  });
});
