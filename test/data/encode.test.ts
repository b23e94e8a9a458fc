import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type EncodedSample, encodeSample, IGNORED } from "../../data/encode.ts";
import type { RawSample, Segment } from "../../data/formats/format.ts";
import { ChatTemplate } from "../../data/template.ts";
import { loadTokenizer, type TextTokenizer } from "../../data/tokenizer.ts";
import type { DiagnosticError } from "../../schemas/diagnostic.ts";
import { BOS, byteTokenizerDefinition, codesOf, EOS, writeTokenizer } from "./byte-tokenizer.ts";

const byteTokenizer = async (merges: string[] = [], config?: Record<string, unknown>) =>
  loadTokenizer(await writeTokenizer(byteTokenizerDefinition(merges), config), 300);

const segments = (...list: [text: string, trained: boolean][]): RawSample => ({
  kind: "segments",
  segments: list.map(([text, trained]): Segment => ({ text, trained })),
});
const encode = (
  tokenizer: TextTokenizer,
  sample: RawSample,
  trainOn: "assistant" | "all" = "assistant",
): EncodedSample => encodeSample(sample, { tokenizer, template: undefined, trainOn });

const codes = (text: string): number[] => [...Buffer.from(text)];
const ignored = (count: number): number[] => new Array(count).fill(IGNORED);

describe("a prompt and its completion", () => {
  it("has one BOS, learns the completion and a final EOS", async () => {
    const { ids, labels } = encode(await byteTokenizer(), segments(["Q: ", false], ["ab", true]));
    expect(ids).toEqual([BOS, ...codes("Q: ab"), EOS]);
    expect(labels).toEqual([...ignored(4), ...codes("ab"), EOS]);
  });

  it("learns everything but the BOS where the recipe says all", async () => {
    const { ids, labels } = encode(await byteTokenizer(), segments(["Q: ", false], ["ab", true]), "all");
    expect(labels).toEqual([IGNORED, ...ids.slice(1)]);
  });

  it("learns EOS also where it is the padding token, and where it is not", async () => {
    for (const pad_token of ["</s>", "#"]) {
      const tokenizer = await byteTokenizer([], { bos_token: "<s>", eos_token: "</s>", pad_token });
      expect(tokenizer.padId).toBe(pad_token === "#" ? 35 : EOS);
      expect(encode(tokenizer, segments(["a", false], ["b", true])).labels.at(-1)).toBe(EOS);
    }
  });

  it("does not get a second BOS or EOS where the text brings its own", async () => {
    const { ids, labels } = encode(await byteTokenizer(), segments(["<s>Q", false], ["A</s>\n", true]));
    expect(ids).toEqual([BOS, ...codes("QA"), EOS, 10]);
    expect(labels).toEqual([IGNORED, IGNORED, 65, EOS, 10]);
  });

  it("gets no BOS from a tokenizer that adds none", async () => {
    const config = { bos_token: "<s>", eos_token: "</s>", add_bos_token: false };
    expect(encode(await byteTokenizer([], config), segments(["a", true])).ids).toEqual([97, EOS]);
  });

  it("masks by byte where a character is several tokens", async () => {
    const { labels } = encode(await byteTokenizer(), segments(["é", false], ["ü", true]));
    expect(labels).toEqual([...ignored(3), ...codes("ü"), EOS]);
  });

  it("learns a token that spans the border, and says so", async () => {
    const tokenizer = await byteTokenizer(["b c"]);
    const clean = encode(tokenizer, segments(["ab", false], ["d", true]));
    expect(clean.mergedBoundary).toBe(false);
    const { ids, labels, mergedBoundary } = encode(tokenizer, segments(["ab", false], ["cd", true]));
    expect(ids).toEqual([BOS, 97, 258, 100, EOS]);
    expect(labels).toEqual([IGNORED, IGNORED, 258, 100, EOS]);
    expect(mergedBoundary).toBe(true);
  });

  it("needs an end-of-sequence token", async () => {
    const tokenizer = await byteTokenizer([], { bos_token: "<s>" });
    expect(await codesOf(() => encode(tokenizer, segments(["a", true])))).toEqual(["tokenizer.no-eos"]);
  });
});

describe("a conversation", () => {
  const conversation = (...contents: string[]): RawSample => ({
    kind: "conversation",
    messages: contents.map((content, i) => ({ role: i % 2 === 0 ? "user" : "assistant", content })),
  });
  const plain =
    "{% for m in messages %}{{ m.role[0] }}{{ m.content }}{% endfor %}{% if add_generation_prompt %}a{% endif %}";
  const encodeChat = async (sample: RawSample, source: string): Promise<EncodedSample> => {
    const tokenizer = await byteTokenizer();
    const template = new ChatTemplate("test", source, {
      bosToken: "<s>",
      eosToken: "</s>",
      date: new Date(0),
    });
    return encodeSample(sample, { tokenizer, template, trainOn: "assistant" });
  };

  it("learns every reply and nothing else", async () => {
    const { ids, labels } = await encodeChat(conversation("Q", "A", "R", "B"), plain);
    expect(ids).toEqual([BOS, ...codes("uQaAuRaB"), EOS]);
    expect(labels).toEqual([...ignored(4), 65, ...ignored(3), 66, EOS]);
  });

  it("learns the EOS that the template puts, even outside its generation block", async () => {
    const source =
      "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %} {{ eos_token }}{% else %}{{ m.content }}{% endif %}{% endfor %}";
    const { ids, labels } = await encodeChat(conversation("Q", "A"), source);
    expect(ids).toEqual([BOS, ...codes("QA "), EOS]);
    expect(labels).toEqual([IGNORED, IGNORED, 65, IGNORED, EOS]);
  });

  it("that ends in a question gets no EOS", async () => {
    const { ids, labels } = await encodeChat(conversation("Q", "A", "R"), plain);
    expect(ids).toEqual([BOS, ...codes("uQaAuR")]);
    expect(labels).toEqual([...ignored(4), 65, IGNORED, IGNORED]);
  });
});

describe("tokens", () => {
  it("stay as they are", async () => {
    const sample: RawSample = { kind: "tokens", ids: [5, 6, 7], labels: [IGNORED, 6, 9] };
    expect(encode(await byteTokenizer(), sample)).toMatchObject({ ids: [5, 6, 7], labels: [IGNORED, 6, 9] });
  });

  it.each([
    { ids: [300], labels: [1] },
    { ids: [1], labels: [300] },
  ])("need a row in the embedding: %o", async ({ ids, labels }) => {
    const tokenizer = await byteTokenizer();
    expect(await codesOf(() => encode(tokenizer, { kind: "tokens", ids, labels }))).toEqual([
      "tokenizer.vocabulary",
    ]);
  });
});

describe("loadTokenizer", () => {
  it("refuses ids without a row in the embedding", async () => {
    const directory = await writeTokenizer();
    expect(await codesOf(() => loadTokenizer(directory, 258))).toEqual([]);
    expect(await codesOf(() => loadTokenizer(directory, 257))).toEqual(["tokenizer.vocabulary"]);
  });

  it("names files that are missing, malformed or not supported", async () => {
    expect(await codesOf(() => loadTokenizer("/nonexistent", 300))).toEqual(["tokenizer.unreadable"]);
    const wrong = { ...byteTokenizerDefinition(), normalizer: { type: "Rot13" } };
    const directory = await writeTokenizer(wrong);
    expect(await codesOf(() => loadTokenizer(directory, 300))).toEqual(["tokenizer.unsupported"]);
  });

  it("says how to make the files that an original model lacks", async () => {
    const error = await loadTokenizer("/nonexistent", 300).catch((thrown: unknown) => thrown);
    expect((error as DiagnosticError).diagnostics[0]!.hint).toContain("save_pretrained");
  });

  it.each(["null", "[]", "7"])("refuses a configuration that is %s", async (config) => {
    const directory = await writeTokenizer();
    await writeFile(join(directory, "tokenizer_config.json"), config);
    expect(await codesOf(() => loadTokenizer(directory, 300))).toEqual(["tokenizer.unreadable"]);
  });

  it.each([-5, 70.5])("refuses the token id %s, which is no row", async (id) => {
    const definition = byteTokenizerDefinition() as { model: { vocab: Record<string, number> } };
    definition.model.vocab.Q = id;
    expect(await codesOf(async () => loadTokenizer(await writeTokenizer(definition), 300))).toEqual([
      "tokenizer.vocabulary",
    ]);
  });

  it("cannot place a mask where the tokenizer rewrites the text, but can train on all of it", async () => {
    const lower = { ...byteTokenizerDefinition(), normalizer: { type: "Lowercase" } };
    const tokenizer = await loadTokenizer(await writeTokenizer(lower), 300);
    const sample = segments(["Q", false], ["a", true]);
    expect(await codesOf(() => encode(tokenizer, sample))).toEqual(["tokenizer.offsets"]);
    expect(encode(tokenizer, sample, "all").ids).toEqual([BOS, ...codes("qa"), EOS]);
  });
});
