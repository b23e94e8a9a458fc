/** The goldens that `test/parity/chat_tokens.py` takes from Transformers: text, ids and masks are equal, token by token. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { builtinTemplates } from "../../data/builtin-templates.ts";
import { encodePrompt, encodeSample, IGNORED } from "../../data/encode.ts";
import type { Message } from "../../data/formats/format.ts";
import { ChatTemplate, TEMPLATE_DATE } from "../../data/template.ts";
import { loadTokenizer, type TextTokenizer } from "../../data/tokenizer.ts";

interface ChatCase {
  tokenizer: string;
  template: string;
  conversation: string;
  text: string;
  ids: number[];
  /** All messages but the last, with the generation prompt. */
  prompt_ids: number[];
  assistant_mask?: number[];
}
interface Golden {
  templates: Record<string, string>;
  conversations: Record<string, Message[]>;
  chat: ChatCase[];
  text: { tokenizer: string; text: string; ids: number[] }[];
}

const GOLDEN = new URL("../golden/data/", import.meta.url);
const golden = JSON.parse(readFileSync(new URL("transformers.json", GOLDEN), "utf8")) as Golden;
const tokenizers = new Map<string, TextTokenizer>();

beforeAll(async () => {
  for (const name of new Set(golden.chat.map(({ tokenizer }) => tokenizer))) {
    tokenizers.set(name, await loadTokenizer(new URL(name, GOLDEN).pathname, 520));
  }
});

/** Transformers leaves BOS and EOS to the template; lema has exactly one BOS, and an EOS after a final reply. */
function withBosAndEos(ids: number[], text: string, tokenizer: TextTokenizer): number[] {
  const bos = ids[0] === tokenizer.bosId ? [] : [tokenizer.bosId!];
  const eos = text.trimEnd().endsWith(tokenizer.eosToken!) ? [] : [tokenizer.eosId!];
  return [...bos, ...ids, ...eos];
}

describe("apply_chat_template", () => {
  it("was recorded with the templates that ship", () => {
    for (const [name, source] of builtinTemplates) expect(golden.templates[name]).toBe(source);
  });

  it.each(golden.chat)("$tokenizer, $template, $conversation", (expected) => {
    const tokenizer = tokenizers.get(expected.tokenizer)!;
    const { bosToken, eosToken } = tokenizer;
    const context = { bosToken, eosToken, date: TEMPLATE_DATE };
    const template = new ChatTemplate(expected.template, golden.templates[expected.template]!, context);
    const messages = golden.conversations[expected.conversation]!;

    expect(template.render(messages, "as-is")).toBe(expected.text);
    const sample = encodeSample(
      { kind: "conversation", messages },
      { tokenizer, template, trainOn: "assistant" },
    );
    expect(sample.ids).toEqual(withBosAndEos(expected.ids, expected.text, tokenizer));

    const prompt = template.render(messages.slice(0, -1), "with-generation-prompt");
    const bos = expected.prompt_ids[0] === tokenizer.bosId ? [] : [tokenizer.bosId];
    expect(encodePrompt(prompt, tokenizer)).toEqual([...bos, ...expected.prompt_ids]);

    if (expected.assistant_mask !== undefined) {
      const mask = sample.labels.slice(0, expected.ids.length).map((label) => (label === IGNORED ? 0 : 1));
      expect(mask).toEqual(expected.assistant_mask);
    }
  });

  it("marks replies by block in some case", () => {
    expect(golden.chat.some(({ assistant_mask }) => assistant_mask?.includes(1))).toBe(true);
  });
});

describe("a tokenizer called on plain text", () => {
  it.each(golden.text)("$tokenizer: $text", ({ tokenizer, text, ids }) => {
    expect(encodePrompt(text, tokenizers.get(tokenizer)!)).toEqual(ids);
  });
});
