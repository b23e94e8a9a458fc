/**
 * `lema export`, and llama.cpp as the judge of what it writes: it reads texts as our tokenizer does, and greedily
 * generates what Transformers + PEFT do. llama.cpp comes from `scripts/llama-cpp.sh`; without it those tests are skipped.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { cp, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { loadTokenizer } from "../../data/tokenizer.ts";
import { makeLlama } from "../../models/make-llama.ts";
import { makeTokenizer } from "../../models/make-tokenizer.ts";
import { lema } from "./run-in-process.ts";

const FOLDER = resolve("scratch/llama-cpp");
const installed = existsSync(join(FOLDER, "stamp"));
if (!installed) console.warn("skipped: llama.cpp is not installed; `bash scripts/llama-cpp.sh` fetches it");

interface Continuation {
  readonly prompt: readonly number[];
  readonly tokens: readonly number[];
}

const readGolden = (name: string) => JSON.parse(readFileSync(join("test/golden", name), "utf8"));
/** What PEFT generates in float32 with each adapter unmerged. */
const inFloat32: Record<string, { adapter: Continuation[] }> = readGolden("generation.json");
/** What Transformers generates with merged weights that are rounded to float16: test/parity/merge.py. */
const inFloat16: Record<string, Continuation[]> = readGolden("merge/greedy_f16.json");

let cwd: string;

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), "lema-export-"));
  return () => rm(cwd, { recursive: true });
});

/** A parity case, merged, with a tokenizer beside it. */
async function mergeCase(name: string, dtype: string, merged = `${name}-${dtype}`): Promise<string> {
  const golden = resolve("test/golden/parity", name);
  const base = join(cwd, `${name}-base`);
  await cp(join(golden, "model"), base, { recursive: true });
  const { tokenizer, config } = makeTokenizer(97, 256);
  await writeFile(join(base, "tokenizer.json"), JSON.stringify(tokenizer));
  await writeFile(join(base, "tokenizer_config.json"), JSON.stringify(config));
  const argv = ["merge", join(golden, "adapter"), "-o", merged, "--base", base, "--dtype", dtype];
  const { exit, stderr } = await lema(argv, { cwd });
  expect(exit, stderr).toBe(0);
  return merged;
}

async function exportTo(model: string, type: string): Promise<string> {
  const file = `${model}-${type}.gguf`;
  const { exit, stderr } = await lema(["export", model, "--gguf", file, "--type", type], { cwd });
  expect(exit, stderr).toBe(0);
  return join(cwd, file);
}

interface Heard {
  readonly greedy: number[][];
  readonly spelled: { tokens: number[]; text: string }[];
  readonly bos: number;
  readonly eos: number;
  readonly addsBos: boolean;
}

function ask(
  model: string,
  texts: readonly string[],
  prompts: readonly (readonly number[])[],
  count: number,
): Heard {
  const input = JSON.stringify({ model, texts, prompts, count });
  const { stdout, stderr, status } = spawnSync(process.execPath, ["test/llama-cpp/drive.mjs", FOLDER], {
    input,
    encoding: "utf8",
  });
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout) as Heard;
}

describe.skipIf(!installed)("llama.cpp", () => {
  it.each(Object.keys(inFloat32))("generates PEFT's 200 tokens from a float32 file: %s", async (name) => {
    const { adapter } = inFloat32[name]!;
    const prompts = adapter.map(({ prompt }) => prompt);
    const { greedy } = ask(await exportTo(await mergeCase(name, "f32"), "f32"), [], prompts, 200);
    expect(greedy).toEqual(adapter.map(({ tokens }) => tokens));
  });

  it.each(Object.keys(inFloat16))("generates Transformers' tokens from a float16 file: %s", async (name) => {
    const expected = inFloat16[name]!;
    const prompts = expected.map(({ prompt }) => prompt);
    const { greedy } = ask(
      await exportTo(await mergeCase(name, "fp16"), "f16"),
      [],
      prompts,
      expected[0]!.tokens.length,
    );
    expect(greedy).toEqual(expected.map(({ tokens }) => tokens));
  });

  it("loads and generates from a q8_0 file, whose rows of 40 stay float16", async () => {
    const model = await mergeCase("base", "fp16", "small");
    const [small, large] = await Promise.all(["q8_0", "f16"].map((type) => exportTo(model, type)));
    expect(readFileSync(small!).length).toBeLessThan(readFileSync(large!).length);
    const { greedy } = ask(small!, [], [[5, 6, 7]], 8);
    expect(greedy[0]).toHaveLength(8);
  });

  it.each(["byte-level", "sentencepiece", "metaspace"])(
    "reads texts as Transformers does: %s",
    async (name) => {
      const model = join(cwd, name);
      await makeLlama({
        ...{ directory: model, hiddenSize: 32, intermediateSize: 32, layers: 1, heads: 2, vocabSize: 520 },
        ...{ dtype: "f32", seed: 1 },
      });
      await cp(resolve("test/golden/data", name), model, { recursive: true });
      const ours = await loadTokenizer(model, 520);
      const golden: { tokenizer: string; text: string; ids: number[] }[] =
        readGolden("data/transformers.json").text;
      // Of what llama.cpp reads otherwise after Metaspace `lema export` warns.
      const texts = golden.filter(
        ({ tokenizer, text }) =>
          tokenizer === name && text !== "" && (name !== "metaspace" || !/^ |<.?s>/.test(text)),
      );
      expect(texts.length).toBeGreaterThan(2);
      const { spelled, bos, eos, addsBos } = ask(
        await exportTo(name, "f16"),
        texts.map(({ text }) => text),
        [],
        1,
      );
      expect({ bos, eos, addsBos }).toEqual({ bos: ours.bosId, eos: ours.eosId, addsBos: ours.addsBos });
      const withoutBos = ({ ids }: { ids: number[] }) => (ids[0] === ours.bosId ? ids.slice(1) : ids);
      expect(spelled.map(({ tokens }) => tokens)).toEqual(texts.map(withoutBos));
    },
  );
});

describe("lema export", () => {
  it("refuses a file that is there, a model without tokenizer, and one that is none; nothing is written", async () => {
    await writeFile(join(cwd, "taken.gguf"), "mine");
    await cp(resolve("test/golden/parity/base/model"), join(cwd, "bare"), { recursive: true });
    const codes = [];
    for (const [model, file] of [
      ["bare", "taken.gguf"],
      ["bare", "new.gguf"],
      ["absent", "new.gguf"],
    ] as const) {
      const { exit, stderr } = await lema(["export", model, "--gguf", file], { cwd });
      expect(exit).toBe(1);
      codes.push(/\[([\w.-]+)\]$/m.exec(stderr)?.[1]);
    }
    expect(codes).toEqual(["output.exists", "tokenizer.unreadable", "model.not-found"]);
    expect(readFileSync(join(cwd, "taken.gguf"), "utf8")).toBe("mine");
    expect((await readdir(cwd)).filter((name) => name.startsWith("new"))).toEqual([]);
  });

  it("makes the folder of its file, and says of an adapter that it is merged first", async () => {
    const model = await mergeCase("base", "fp16", "whole");
    const { exit, stderr } = await lema(["export", model, "--gguf", "new/folder/whole.gguf"], { cwd });
    expect(exit, stderr).toBe(0);
    expect(existsSync(join(cwd, "new/folder/whole.gguf"))).toBe(true);
    const adapter = resolve("test/golden/parity/base/adapter");
    const refused = await lema(["export", adapter, "--gguf", "adapter.gguf"], { cwd });
    expect(refused.exit).toBe(1);
    expect(refused.stderr).toContain("[export.not-merged]");
    expect(refused.stderr).toContain("lema merge");
    expect(existsSync(join(cwd, "adapter.gguf"))).toBe(false);
  });
});
