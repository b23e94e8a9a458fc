import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { makeLlama } from "../../models/make-llama.ts";
import { directoryWith, lema } from "./run-in-process.ts";

const RECIPE = `lema: 1
model: ./model
dataset: {path: data.jsonl, format: prompt-completion}
sequence: {length: 16}
memory: {ram: 1 GiB}
output: runs/a
hardware: cpu-2core
`;
const row = (prompt: string, completion: string): string => JSON.stringify({ prompt, completion });
const cwd = directoryWith({
  "recipe.yaml": RECIPE,
  "data.jsonl": [row("2+2=", "4"), row("1+1=", "2"), row("2+2=", "4"), row("\u001b[2J:", "5")].join("\n"),
});
const inspect = (argv: string[], isTTY = false) =>
  lema(["dataset", "inspect", "recipe.yaml", ...argv], { cwd, isTTY });

beforeAll(async () => {
  await makeLlama({
    directory: join(cwd, "model"),
    hiddenSize: 16,
    intermediateSize: 16,
    layers: 1,
    heads: 1,
    vocabSize: 259,
    dtype: "f32",
    seed: 1,
  });
});

describe("lema dataset inspect", () => {
  it("shows statistics, duplicates and samples with the trained part in brackets", async () => {
    const { exit, stdout, stderr } = await inspect(["--rows", "1"]);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
    expect(stdout).toMatch(/^samples {5}4 \(4 train, 0 validation\)\nrows {8}2 of 16 tokens/);
    expect(stdout).toContain("duplicates  1: lines 3 (as 1)\n");
    expect(stdout).toMatch(/line 1: 7 tokens, 2 trained\n<s>2\+2=⟦4<\/s>⟧\n$/);
  });

  it("uses colour on a terminal, and lets no row write to it", async () => {
    const { stdout, stderr } = await inspect(["--rows", "4"], true);
    expect(stderr.endsWith("tokenizing the dataset 100 %\r\u001b[K")).toBe(true);
    expect(stdout).toContain("<s>2+2=\u001b[32m4</s>\u001b[39m");
    expect(stdout).toContain("<s>�[2J:\u001b[32m5</s>");
  });

  it("shows what it can of a dataset that does not fit", async () => {
    const { exit, stdout, stderr } = await inspect(["--set", "sequence.length=7"]);
    expect(exit).toBe(1);
    expect(stdout).toContain("> sequence");
    expect(stderr).toContain("data.jsonl:4\n");
    expect(stderr).toContain("the sample has 8 tokens, the sequence holds 7 [data.too-long]");
  });

  it("prints JSON", async () => {
    const { exit, stdout } = await inspect(["--json", "--rows", "1"]);
    expect(exit).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      statistics: { samples: 4, supervisedTokens: 8 },
      digest: expect.stringMatching(/^sha256:/),
      longest: 8,
      duplicates: [{ line: 3, firstLine: 1 }],
      samples: [
        {
          line: 1,
          tokens: 7,
          trainedTokens: 2,
          runs: [{ trained: false }, { text: "4</s>", trained: true }],
        },
      ],
      diagnostics: [],
    });
  });

  it("refuses a count that is none", async () => {
    const { exit, stderr } = await inspect(["--rows", "-1"]);
    expect(exit).toBe(1);
    expect(stderr).toContain("[cli.usage]");
  });
});
