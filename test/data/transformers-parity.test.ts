/** The goldens that `test/parity/chat_tokens.py` takes from Transformers: text, ids and masks are equal, token by token. */
import { beforeAll, describe, expect, it } from "vitest";
import { builtinTemplates } from "../../data/builtin-templates.ts";
import { encodePrompt, encodeSample, IGNORED } from "../../data/encode.ts";
import { ChatTemplate, TEMPLATE_DATE } from "../../data/template.ts";
import type { TextTokenizer } from "../../data/tokenizer.ts";
import { golden, goldenTokenizer, templateSource, tokenizerNames } from "./transformers-golden.ts";

const tokenizers = new Map<string, TextTokenizer>();

beforeAll(async () => {
  for (const name of tokenizerNames) tokenizers.set(name, await goldenTokenizer(name));
});

/** Transformers leaves BOS and EOS to the template; lema has exactly one BOS, and an EOS after a final reply. */
function withBosAndEos(ids: readonly number[], text: string, tokenizer: TextTokenizer): number[] {
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
    const template = new ChatTemplate(expected.template, templateSource(expected, tokenizer), context);
    const messages = golden.conversations[expected.conversation]!;

    expect(template.render(messages, "as-is")).toBe(expected.text);
    const sample = encodeSample(
      { kind: "conversation", messages },
      { tokenizer, template, trainOn: "assistant" },
    );
    expect(sample.ids).toEqual(withBosAndEos(expected.ids, expected.text, tokenizer));

    const prompt = template.render(messages.slice(0, -1), "with-generation-prompt");
    const ids = expected.prompts.at(-1)!;
    const bos = ids[0] === tokenizer.bosId ? [] : [tokenizer.bosId];
    expect(encodePrompt(prompt, tokenizer)).toEqual([...bos, ...ids]);

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
