import { appendFile, chmod, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { cacheFile } from "../../data/cache.ts";
import { type DatasetOptions, type PreparedDataset, prepareDataset } from "../../data/dataset.ts";
import type { PackedDataset } from "../../data/pack.ts";
import { LISTED_PROBLEMS } from "../../data/problems.ts";
import type { RowSource } from "../../data/row-source.ts";
import { formatStatistics } from "../../data/statistics.ts";
import type { DatasetProgress } from "../../data/tokenize.ts";
import { DiagnosticError } from "../../schemas/diagnostic.ts";
import {
  BOS,
  byteTokenizerDefinition,
  codesOf,
  EOS,
  temporaryDirectory,
  writeTokenizer,
} from "./byte-tokenizer.ts";

let tokenizerDirectory: string;
beforeAll(async () => {
  tokenizerDirectory = await writeTokenizer();
});

interface Changes {
  dataset?: Partial<DatasetOptions["dataset"]>;
  sequence?: Partial<DatasetOptions["sequence"]>;
  seed?: number;
  cacheDirectory?: string | null;
}

/** Options for a file with these lines. */
async function optionsFor(
  lines: readonly (object | string)[],
  changes: Changes = {},
): Promise<DatasetOptions> {
  const path = join(await temporaryDirectory(), "data.jsonl");
  await writeFile(
    path,
    lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n"),
  );
  return {
    dataset: {
      path,
      format: "prompt-completion",
      template: "tokenizer",
      train_on: "assistant",
      validation: { share: 0 },
      shuffle: false,
      unsupervised_rows: "error",
      ...changes.dataset,
    },
    sequence: { length: 8, packing: true, truncation: "error", ...changes.sequence },
    seed: changes.seed ?? 1,
    tokenizerDirectory,
    vocabularyRows: 258,
    cacheDirectory: changes.cacheDirectory ?? null,
  };
}
const prepare = async (lines: readonly (object | string)[], changes?: Changes) =>
  laidOut(await prepareDataset(await optionsFor(lines, changes)));

/** With all rows, in order. */
function laidOut({ train, validation, ...rest }: PreparedDataset) {
  const all = (source: RowSource): PackedDataset =>
    source.read(Uint32Array.from({ length: source.rows }, (_, row) => row));
  // Rows are what is promised of them before they are read.
  expect(all(train).supervised).toEqual(train.supervised);
  return { ...rest, train: all(train), validation: validation === null ? null : all(validation) };
}

const pair = (prompt: string, completion: string): object => ({ prompt, completion });
const code = (character: string): number => character.charCodeAt(0);
const x = -100;

describe("prepareDataset", () => {
  it("goes from a file to rows", async () => {
    const { train, validation, statistics, diagnostics } = await prepare([pair("p", "q"), pair("r", "s")]);
    expect(train).toEqual({
      sequenceLength: 8,
      rows: 1,
      tokens: Int32Array.of(BOS, code("p"), code("q"), EOS, BOS, code("r"), code("s"), EOS),
      labels: Int32Array.of(x, code("q"), EOS, x, x, code("s"), EOS, x),
      positions: Int32Array.of(0, 1, 2, 3, 0, 1, 2, 3),
      segmentStart: Int32Array.of(0, 0, 0, 0, 4, 4, 4, 4),
      supervised: Int32Array.of(4),
    });
    expect(validation).toBeNull();
    expect(diagnostics).toEqual([]);
    expect(statistics).toMatchObject({
      samples: 2,
      tokens: 8,
      supervisedTokens: 4,
      paddingTokens: 0,
      trainRows: 1,
    });
  });

  it("renders conversations with the template of the recipe", async () => {
    const messages = [
      { role: "user", content: "Q" },
      { role: "assistant", content: "A" },
    ];
    const { train } = await prepare([{ messages }], {
      dataset: { format: "chat", template: "chatml" },
      sequence: { length: 128 },
    });
    const text = "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n";
    expect([...train.tokens.subarray(0, text.length + 2)]).toEqual([BOS, ...Buffer.from(text), code("A")]);
    expect(train.labels.findIndex((label) => label !== x)).toBe(text.length);
    expect(train.supervised[0]).toBe("A<|im_end|>\n".length + 1);
  });

  it("reads tokens as they are", async () => {
    const { train } = await prepare([{ input_ids: [1, 2, 3], labels: [x, 2, 3] }], {
      dataset: { format: "tokens", train_on: "all" },
      sequence: { length: 4, packing: false },
    });
    expect([...train.tokens]).toEqual([1, 2, 3, EOS]);
    expect([...train.labels]).toEqual([2, 3, x, x]);
  });

  it("reports what it reads", async () => {
    const seen: DatasetProgress[] = [];
    await prepareDataset(await optionsFor([pair("p", "q"), pair("r", "s")]), (progress) =>
      seen.push(progress),
    );
    expect(new Set(seen.map(({ phase }) => phase))).toEqual(new Set(["reading", "tokenizing"]));
    const { done, total } = seen.at(-1)!;
    expect(done).toBe(total);
  });
});

describe("problems of the dataset", () => {
  it("are all reported at once, by line", async () => {
    const lines = [pair("p", "q"), "{", { prompt: "p" }, pair("p", "too long"), { prompt: 1, completion: 2 }];
    const options = await optionsFor(lines);
    const error = await prepareDataset(options).then(
      () => undefined,
      (thrown: unknown) => thrown as DiagnosticError,
    );
    expect(error).toBeInstanceOf(DiagnosticError);
    expect(error!.diagnostics.map(({ code, where }) => [code, where?.file, where?.line])).toEqual([
      ["data.bad-line", options.dataset.path, 2],
      ["data.missing-field", options.dataset.path, 3],
      ["data.wrong-type", options.dataset.path, 5],
      ["data.wrong-type", options.dataset.path, 5],
    ]);
  });

  it("are listed up to a limit, and counted beyond", async () => {
    const options = await optionsFor(new Array(LISTED_PROBLEMS + 7).fill("{"));
    const error = (await prepareDataset(options).catch((thrown: unknown) => thrown)) as DiagnosticError;
    expect(error.diagnostics.length).toBe(LISTED_PROBLEMS + 1);
    expect(error.diagnostics.at(-1)).toMatchObject({
      code: "data.more-problems",
      summary: "and 7 more: 7 × data.bad-line",
    });
  });

  it("of the template stand at the line of the conversation", async () => {
    const lines = [{ messages: [{ role: "assistant", content: "A" }] }];
    const options = await optionsFor(lines, { dataset: { format: "chat", template: "llama2" } });
    const error = (await prepareDataset(options).catch((thrown: unknown) => thrown)) as DiagnosticError;
    expect(error.diagnostics).toMatchObject([{ code: "template.render", where: { line: 1 } }]);
  });

  it("of the tokenizer itself are said once", async () => {
    const config = { bos_token: "<s>", eos_token: "<end>" };
    const tokenizerDirectory = await writeTokenizer(byteTokenizerDefinition(), config);
    const options = { ...(await optionsFor([pair("p", "q"), pair("r", "s")])), tokenizerDirectory };
    const error = (await prepareDataset(options).catch((thrown: unknown) => thrown)) as DiagnosticError;
    expect(error.diagnostics).toMatchObject([
      { code: "tokenizer.no-eos", summary: expect.stringContaining('has no token "<end>"') },
    ]);
  });

  it("include an empty file and one that is not there", async () => {
    expect(await codesOf(() => prepare([]))).toEqual(["data.empty"]);
    expect(await codesOf(() => prepare([], { dataset: { path: "/nonexistent.jsonl" } }))).toEqual([
      "data.unreadable",
    ]);
  });
});

describe("a token that spans the border between prompt and answer", () => {
  it("is a warning that counts the samples, from the cache too", async () => {
    const cacheDirectory = await temporaryDirectory();
    const lines = [pair("a:", "b"), pair("a: ", "b"), pair("a: ", "c")];
    const options = await optionsFor(lines, { cacheDirectory });
    const merging = await writeTokenizer(byteTokenizerDefinition(["Ġ b"]));
    for (const _ of ["tokenized", "cached"]) {
      const { diagnostics } = await prepareDataset({
        ...options,
        tokenizerDirectory: merging,
        vocabularyRows: 259,
      });
      expect(diagnostics).toMatchObject([{ code: "data.merged-boundary", severity: "warning" }]);
      expect(diagnostics[0]!.summary).toMatch(/^in 1 of 3 samples/);
    }
  });
});

describe("samples that do not fit", () => {
  const lines = [pair("p", "q"), pair("p", "123456"), pair("12345678", "q")];

  it("are errors, each at its line", async () => {
    const error = (await prepare(lines).catch((thrown: unknown) => thrown)) as DiagnosticError;
    expect(error.diagnostics.map(({ code, where }) => [code, where?.line])).toEqual([
      ["data.too-long", 2],
      ["data.too-long", 3],
    ]);
  });

  it("are dropped and counted", async () => {
    const { statistics, diagnostics } = await prepare(lines, { sequence: { truncation: "drop" } });
    expect(statistics).toMatchObject({ samples: 3, trainSamples: 1, droppedTooLong: 2, truncated: 0 });
    expect(diagnostics).toMatchObject([
      {
        code: "data.too-long",
        severity: "warning",
        summary: "2 samples longer than the sequence were dropped",
      },
    ]);
  });

  it("are cut, and then dropped where nothing is left to learn", async () => {
    const changes: Changes = {
      dataset: { unsupervised_rows: "drop" },
      sequence: { truncation: "end", packing: false },
    };
    const { train, statistics } = await prepare(lines, changes);
    expect(statistics).toMatchObject({ trainSamples: 2, truncated: 1, droppedUnsupervised: 1 });
    expect([...train.tokens.subarray(8)]).toEqual([BOS, ...Buffer.from("p123456")]);
    expect([...train.labels.subarray(8)]).toEqual([x, ...Buffer.from("123456"), x]);
  });

  it("are errors where the cut left nothing to learn", async () => {
    const changes: Changes = { sequence: { truncation: "end" } };
    expect(await codesOf(() => prepare(lines, changes))).toEqual(["data.unsupervised"]);
  });
});

describe("the validation split", () => {
  const lines = Array.from({ length: 20 }, (_, i) => pair(String.fromCharCode(65 + i), "!"));
  const prompts = (rows: Int32Array): number[] => [...rows].filter((token) => token >= 65 && token < 85);

  it("shares no sample with training, loses none, and depends on the seed", async () => {
    const chosen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(fc.nat(1000), fc.boolean(), fc.boolean(), async (seed, shuffle, packing) => {
        const dataset = { validation: { share: 0.25 }, shuffle };
        const { train, validation, statistics } = await prepare(lines, {
          dataset,
          sequence: { packing },
          seed,
        });
        expect(statistics).toMatchObject({ trainSamples: 15, validationSamples: 5 });
        const held = prompts(validation!.tokens);
        const all = [...prompts(train.tokens), ...held].sort((a, b) => a - b);
        expect(all).toEqual(Array.from({ length: 20 }, (_, i) => 65 + i));
        chosen.add(held.sort().join());
      }),
      { numRuns: 10 },
    );
    expect(chosen.size).toBeGreaterThan(1);
  });

  it("may be a count", async () => {
    const { statistics } = await prepare(lines, { dataset: { validation: { rows: 3 } } });
    expect(statistics.validationSamples).toBe(3);
  });

  it("keeps at least one sample for a share, and leaves one to train on", async () => {
    const { statistics } = await prepare(lines, { dataset: { validation: { share: 0.001 } } });
    expect(statistics.validationSamples).toBe(1);
    const all: Changes = { dataset: { validation: { rows: 20 } } };
    expect(await codesOf(() => prepare(lines, all))).toEqual(["data.validation-size"]);
  });
});

describe("the digest", () => {
  it("is the same for the same inputs, and another for any other", async () => {
    const lines = [pair("p", "q"), pair("r", "s")];
    const options = await optionsFor(lines);
    const digestOf = async (changed: DatasetOptions): Promise<string> =>
      (await prepareDataset(changed)).digest;
    const { dataset, sequence } = options;
    const digests = [
      await digestOf(options),
      await digestOf({ ...options, seed: 2 }),
      await digestOf({ ...options, sequence: { ...sequence, length: 9 } }),
      await digestOf({ ...options, sequence: { ...sequence, packing: false } }),
      await digestOf({ ...options, sequence: { ...sequence, truncation: "drop" } }),
      await digestOf({ ...options, dataset: { ...dataset, train_on: "all" } }),
      await digestOf({ ...options, dataset: { ...dataset, shuffle: true } }),
      await digestOf({ ...options, dataset: { ...dataset, validation: { rows: 1 } } }),
      await digestOf({
        ...options,
        tokenizerDirectory: await writeTokenizer(undefined, { eos_token: "</s>" }),
      }),
    ];
    expect(new Set(digests).size).toBe(digests.length);
    expect(await digestOf(await optionsFor(lines))).toBe(digests[0]);
    await appendFile(dataset.path, "\n");
    expect(await digestOf(options)).not.toBe(digests[0]);
  });
});

/** Bytes that typed arrays hold once nothing can be collected any more. */
async function heldByArrays(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let pass = 0; pass < 3; pass++) {
    await setImmediate(); // Out of the promises that still hold some.
    collect();
  }
  return process.memoryUsage().arrayBuffers;
}

describe("the token cache", () => {
  const phases = async (options: DatasetOptions): Promise<string[]> => {
    const seen = new Set<string>();
    await prepareDataset(options, ({ phase }) => seen.add(phase));
    return [...seen];
  };

  it("gives the same rows without tokenizing again, also for another seed or sequence", async () => {
    const cacheDirectory = await temporaryDirectory();
    const options = await optionsFor([pair("p", "q"), pair("r", "s")], { cacheDirectory });
    const first = laidOut(await prepareDataset(options));
    expect(await phases(options)).toEqual(["reading"]);
    expect(laidOut(await prepareDataset(options))).toEqual(first);
    expect(laidOut(await prepareDataset({ ...options, cacheDirectory: null }))).toEqual(first);
    expect(await phases({ ...options, seed: 9, sequence: { ...options.sequence, length: 16 } })).toEqual([
      "reading",
    ]);
    expect((await readdir(cacheDirectory)).length).toBe(1);
    await appendFile(options.dataset.path, "\n");
    expect(await phases(options)).toEqual(["reading", "tokenizing"]);
  });

  it("is where rows are read from: memory does not grow with their tokens", async () => {
    const cacheDirectory = await temporaryDirectory();
    const ids = Array.from({ length: 1000 }, (_, t) => t % 256);
    const options = await optionsFor(new Array(1000).fill({ input_ids: ids, labels: ids }), {
      cacheDirectory,
      dataset: { format: "tokens" },
      sequence: { length: 1000 },
    });
    await prepareDataset(options);
    const before = await heldByArrays();
    const { train } = await prepareDataset(options);
    expect(train.rows).toBe(1000);
    // A window of 64 KiB and a few numbers a row; the tokens and labels are 8 MB, the rows would be 16 MB.
    expect((await heldByArrays()) - before).toBeLessThan(2 ** 20);
  });

  it("is rebuilt with a warning when it is damaged", async () => {
    const cacheDirectory = await temporaryDirectory();
    const options = await optionsFor([pair("p", "q")], { cacheDirectory });
    const first = laidOut(await prepareDataset(options));
    const [name] = await readdir(cacheDirectory);
    await writeFile(cacheFile(cacheDirectory, name!.replace(".samples", "")), "garbage");
    const second = laidOut(await prepareDataset(options));
    expect(second.train).toEqual(first.train);
    expect(second.diagnostics).toMatchObject([{ code: "data.cache-damaged", severity: "warning" }]);
    expect((await prepareDataset(options)).diagnostics).toEqual([]);
  });

  it("that cannot be written is a warning", async () => {
    const file = join(await temporaryDirectory(), "file");
    await writeFile(file, "");
    await chmod(file, 0o400);
    const { train, diagnostics } = await prepare([pair("p", "q")], { cacheDirectory: file });
    expect(train.rows).toBe(1);
    expect(diagnostics.map(({ code }) => code)).toContain("data.cache-damaged");
  });
});

describe("formatStatistics", () => {
  it("shows shares, what was left out and a histogram", async () => {
    const lines = [pair("p", "q"), pair("p", "q"), pair("pp", "q"), pair("p", "123456789")];
    const { statistics } = await prepare(lines, { sequence: { truncation: "drop", packing: false } });
    expect(formatStatistics(statistics)).toBe(
      [
        "samples     4 (3 train, 0 validation)",
        "rows        3 of 8 tokens (3 train, 0 validation)",
        "tokens      13, 46.2 % supervised, 45.8 % of the rows is padding",
        "            1 longer than the sequence, dropped",
        "length",
        `   4  2  ${"█".repeat(40)}`,
        `   5  1  ${"█".repeat(20)}`,
        "   6  0",
        "   7  0",
        "   8  0",
        "   9  0   > sequence",
        "  10  0   > sequence",
        "  11  0   > sequence",
        `  12  1  ${"█".repeat(20)} > sequence`,
      ].join("\n"),
    );
  });
});
