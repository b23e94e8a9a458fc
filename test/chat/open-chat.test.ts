/** Which chat template a model is talked to in, and what its files say about the end of a reply. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { GenerationSource } from "../../chat/generate.ts";
import { openChat } from "../../chat/open-chat.ts";
import { parseRecipe } from "../../schemas/recipe.ts";
import type { AdapterRun } from "../../workflow/find-adapter.ts";
import {
  BYTE_TOKENIZER_CONFIG,
  byteTokenizerDefinition,
  codesOf,
  EOS,
  temporaryDirectory,
  writeTokenizer,
} from "../data/byte-tokenizer.ts";
import { VOCABULARY } from "./scripted-model.ts";

const source = { vocabulary: VOCABULARY, capacity: 10 } as GenerationSource;
const OWN = "{% for m in messages %}{{ m.content }}{% endfor %}";

interface Files {
  readonly ownTemplate?: string;
  readonly config?: object;
  readonly generation?: object | string;
}

async function modelDirectory({ ownTemplate, config = {}, generation }: Files): Promise<string> {
  const tokenizer = { ...BYTE_TOKENIZER_CONFIG, ...(ownTemplate && { chat_template: ownTemplate }) };
  const directory = await writeTokenizer(byteTokenizerDefinition(), tokenizer);
  await writeFile(join(directory, "config.json"), JSON.stringify(config));
  if (generation !== undefined) {
    const text = typeof generation === "string" ? generation : JSON.stringify(generation);
    await writeFile(join(directory, "generation_config.json"), text);
  }
  return directory;
}

async function open(files: Files, template: string | null = null, run: AdapterRun | null = null, cwd = "/") {
  return openChat(source, { modelDirectory: await modelDirectory(files), run }, { template, cwd });
}

/** A run whose recipe has this dataset section. */
function runWith(dataset: string): AdapterRun {
  const text = `{lema: 1, model: m, dataset: {path: x, ${dataset}}, sequence: {length: 8}, adapter: {type: lora, rank: 1},
    training: {steps: 1, batch_size: 1, learning_rate: 1e-3, precision: f32}, memory: {ram: 1 GiB}, output: o}`;
  const { recipe, diagnostics } = parseRecipe(text, { file: "r.yaml" });
  expect(diagnostics).toEqual([]);
  return {
    directory: "/run",
    plan: { inputs: { recipe } },
    record: null,
    metrics: [],
  } as unknown as AdapterRun;
}

describe("the chat template", () => {
  it("is the tokenizer's own, or lema-reply where it has none", async () => {
    expect((await open({ ownTemplate: OWN })).template.name).toBe("tokenizer");
    expect((await open({})).template.name).toBe("lema-reply");
  });

  it("is what a run was trained with, where its data were conversations", async () => {
    const of = async (dataset: string) =>
      (await open({ ownTemplate: OWN }, null, runWith(dataset))).template.name;
    expect(await of("format: chat, template: chatml")).toBe("chatml");
    expect(await of("format: sharegpt")).toBe("tokenizer");
    expect(await of("format: text")).toBe("tokenizer");
    const named = await open({ ownTemplate: OWN }, "llama2", runWith("format: chat, template: chatml"));
    expect(named.template.name).toBe("llama2");
  });

  it("is the one that is named, by a path from the working directory too", async () => {
    expect((await open({ ownTemplate: OWN }, "chatml")).template.name).toBe("chatml");
    const cwd = await temporaryDirectory();
    await writeFile(join(cwd, "mine.jinja"), OWN);
    expect((await open({}, "mine.jinja", null, cwd)).template.source).toBe(OWN);
    expect(await codesOf(() => open({}, "none.jinja"))).toEqual(["template.unreadable"]);
  });
});

describe("the end of a reply", () => {
  const ends = async (files: Files) => [...(await open(files)).turn.endTokens].sort((a, b) => a - b);

  it("is what generation_config.json says, one token or several, beside the tokenizer's own", async () => {
    const generation = { eos_token_id: [7, 9] };
    expect(await ends({ config: { eos_token_id: 5 }, generation })).toEqual([7, 9, EOS]);
    expect(await ends({ config: { eos_token_id: 5 }, generation: { eos_token_id: 7 } })).toEqual([7, EOS]);
  });

  it("is what config.json says where there is no such file", async () => {
    expect(await ends({ config: { eos_token_id: 5 } })).toEqual([5, EOS]);
    expect(await ends({})).toEqual([EOS]);
  });

  it("is not guessed from a file that cannot be read", async () => {
    expect(await codesOf(() => open({ generation: "{" }))).toEqual(["model.syntax"]);
  });
});
