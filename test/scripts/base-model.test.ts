import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findTemplate } from "../../data/find-template.ts";
import { allFacts } from "../../data/reply/corpus.ts";
import { CLOSING_TAG, OPENING_TAG } from "../../data/reply/reply.ts";
import { loadTokenizer } from "../../data/tokenizer.ts";
import { readLlamaConfig } from "../../models/llama-config.ts";

const DIRECTORY = "assets/lema-mini";
const files = readdirSync(DIRECTORY);
const card = readFileSync(join(DIRECTORY, "README.md"), "utf8");
const sha256 = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex");
const config = JSON.parse(readFileSync(join(DIRECTORY, "config.json"), "utf8"));
const tokenizer = () => loadTokenizer(DIRECTORY, config.vocab_size);

describe("the base model", () => {
  it("takes at most 8 MB", () => {
    const total = files.reduce((sum, name) => sum + statSync(join(DIRECTORY, name)).size, 0);
    expect(total).toBeLessThanOrEqual(8e6);
  });

  it("is the files that its card tells", () => {
    const others = files.filter((name) => name !== "README.md");
    const told = [...card.matchAll(/^([0-9a-f]{64}) {2}(\S+\.\w+)$/gm)].map(([, digest, name]) => [
      name,
      digest,
    ]);
    expect(told).toEqual(others.map((name) => [name, sha256(readFileSync(join(DIRECTORY, name)))]));
  });

  it("is a Llama", () => {
    expect(readLlamaConfig(config, "config.json")).toMatchObject({ config: { layers: 10 }, diagnostics: [] });
  });

  it("has no token for a tag, and only <s> and </s> as special ones", async () => {
    const { added_tokens: added } = JSON.parse(readFileSync(join(DIRECTORY, "tokenizer.json"), "utf8"));
    expect(added.map(({ content }: { content: string }) => content)).toEqual(["<s>", "</s>"]);
    const { encode, spell } = await tokenizer();
    for (const tag of [OPENING_TAG, CLOSING_TAG, "<|system|>", "<|user|>", "<|assistant|>"]) {
      expect(encode(tag).length).toBeGreaterThan(2);
      expect(spell(encode(tag))).toBe(tag);
    }
  });

  it("is asked in plain prose by its own template", async () => {
    const template = await findTemplate("tokenizer", await tokenizer());
    const messages = [
      { role: "system", content: "Be brief." },
      { role: "user", content: "Why?" },
      { role: "assistant", content: "Because." },
      { role: "user", content: "Really?" },
    ];
    expect(template.render(messages, "with-generation-prompt")).toBe(
      "<s>Be brief.\n\nWhy?\nBecause.</s>\n\nReally?\n",
    );
    expect(template.renderTrained(messages.slice(0, 3)).trained).toEqual([{ start: 19, end: 31 }]);
  });
});

describe("the text that it was trained on", () => {
  const text = execFileSync(process.execPath, ["--import", "tsx", "scripts/base-model/corpus.ts"], {
    maxBuffer: 1 << 26,
  });
  const documents = text
    .toString("utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as string);

  it("is what corpus.ts still writes: who changes a fact must train anew", () => {
    expect(card).toContain(`${sha256(text)}  the text`);
  });

  it("has no part of a tag and no held-out question", () => {
    const all = documents.join("\n\n");
    for (const part of ["<|", "|>", "[/", "LEMA", "REPLY", "Answer:", "Explanation:", "Confidence:"]) {
      expect(all).not.toContain(part);
    }
    const lines = new Set(all.split("\n"));
    expect(allFacts().filter(({ heldOutQuestion }) => lines.has(heldOutQuestion))).toEqual([]);
    // The check above can fail: trained questions are lines.
    expect(allFacts().every(({ questions }) => questions.every((question) => lines.has(question)))).toBe(
      true,
    );
  });
});
