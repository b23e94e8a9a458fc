import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { builtinTemplates } from "../../data/builtin-templates.ts";
import { findTemplate } from "../../data/find-template.ts";
import type { Message } from "../../data/formats/format.ts";
import { strftime } from "../../data/strftime.ts";
import { ChatTemplate, type TrainedText } from "../../data/template.ts";
import { loadTokenizer } from "../../data/tokenizer.ts";
import {
  BYTE_TOKENIZER_CONFIG,
  byteTokenizerDefinition,
  codesOf,
  temporaryDirectory,
  writeTokenizer,
} from "./byte-tokenizer.ts";

const context = { bosToken: "<s>", eosToken: "</s>", date: new Date("2025-02-03T14:05:06Z") };
const template = (source: string): ChatTemplate => new ChatTemplate("test", source, context);
const builtin = (name: string): ChatTemplate => template(builtinTemplates.get(name)!);

const user = (content: string): Message => ({ role: "user", content });
const assistant = (content: string): Message => ({ role: "assistant", content });
const system = (content: string): Message => ({ role: "system", content });

/** The text with its trained parts in ⟦brackets⟧. */
function bracketed({ text, trained }: TrainedText): string {
  let out = "";
  let at = 0;
  for (const { start, end } of trained) {
    out += `${text.slice(at, start)}⟦${text.slice(start, end)}⟧`;
    at = end;
  }
  return out + text.slice(at);
}

describe("built-in templates", () => {
  it("lema-reply is the reply format, with its default system prompt", () => {
    expect(bracketed(builtin("lema-reply").renderTrained([user("Why?"), assistant("Because.")]))).toBe(
      "<s><|system|>\nYou are a precise assistant trained using LEMA.\n\n<|user|>\nWhy?\n\n<|assistant|>\n⟦Because.</s>⟧",
    );
  });

  it("lema-reply takes a system prompt and prompts for a reply", () => {
    expect(builtin("lema-reply").render([system("Be brief."), user("Why?")], "with-generation-prompt")).toBe(
      "<s><|system|>\nBe brief.\n\n<|user|>\nWhy?\n\n<|assistant|>\n",
    );
  });

  it("lema-reply learns every reply of a conversation", () => {
    const messages = [user("1"), assistant("a"), user("2"), assistant("b")];
    expect(bracketed(builtin("lema-reply").renderTrained(messages)).split("LEMA.")[1]).toBe(
      "\n\n<|user|>\n1\n\n<|assistant|>\n⟦a</s>⟧\n\n<|user|>\n2\n\n<|assistant|>\n⟦b</s>⟧",
    );
  });

  it("chatml", () => {
    expect(bracketed(builtin("chatml").renderTrained([system("S"), user("Q"), assistant("A")]))).toBe(
      "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n⟦A<|im_end|>\n⟧",
    );
  });

  it("llama2 puts the system prompt into the first question", () => {
    const messages = [system("S"), user("Q"), assistant("A"), user("R"), assistant("B")];
    expect(bracketed(builtin("llama2").renderTrained(messages))).toBe(
      "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nQ [/INST]⟦ A </s>⟧<s>[INST] R [/INST]⟦ B </s>⟧",
    );
  });

  it("llama3", () => {
    expect(bracketed(builtin("llama3").renderTrained([user(" Q "), assistant("A")]))).toBe(
      "<s><|start_header_id|>user<|end_header_id|>\n\nQ<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n⟦A<|eot_id|>⟧",
    );
  });

  it("llama2 rejects roles that do not alternate, in the template's own words", async () => {
    const render = () => builtin("llama2").renderTrained([user("Q"), user("R")]);
    expect(await codesOf(render)).toEqual(["template.render"]);
    expect(render).toThrow(/roles that alternate/);
  });
});

describe("trained parts", () => {
  const turns = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}\n{% endfor %}";
  const prompt = "{% if add_generation_prompt %}[assistant]{% endif %}";

  it("end at EOS: the line break after it is layout", () => {
    expect(bracketed(template(turns + prompt).renderTrained([user("Q"), assistant("A")]))).toBe(
      "[user]Q</s>\n[assistant]⟦A</s>⟧\n",
    );
  });

  it("come from generation blocks where the template has them, EOS included", () => {
    const source =
      "{% for m in messages %}{{ m.role }}:{% if m.role == 'assistant' %}\n" +
      "  {%- generation -%}\n  {{ m.content }}{% endgeneration %}{{ eos_token }}{% else %}{{ m.content }}{% endif %};{% endfor %}";
    expect(bracketed(template(source).renderTrained([user("Q"), assistant("A")]))).toBe(
      "user:Q;assistant:⟦A</s>⟧;",
    );
    expect(template(source).render([assistant("A")], "as-is")).toBe("assistant:A</s>;");
  });

  it("are refused when the generation prompt is not how the reply begins", async () => {
    const thinking = template(`${turns}{% if add_generation_prompt %}[assistant]<think>{% endif %}`);
    const messages = [user("Q"), assistant("A")];
    expect(await codesOf(() => thinking.renderTrained(messages))).toEqual(["template.unstable"]);
    expect(() => thinking.renderTrained(messages)).toThrow(/not prefix-stable/);
  });

  it("are refused when later messages change what came before", async () => {
    const forgetful = template(
      `{% for m in messages %}[{{ m.role }}]{{ m.content if loop.index0 >= messages | length - 2 else '…' }}{% endfor %}${prompt}`,
    );
    const short = [user("Q"), assistant("A")];
    expect(bracketed(forgetful.renderTrained(short))).toBe("[user]Q[assistant]⟦A⟧");
    const messages = [...short, user("R"), assistant("B")];
    expect(await codesOf(() => forgetful.renderTrained(messages))).toEqual(["template.unstable"]);
  });

  it("cannot be forged by a message", async () => {
    const source = "{% generation %}{{ messages[0].content }}{% endgeneration %}";
    expect(await codesOf(() => template(source).renderTrained([user("a\uFDD1b")]))).toEqual([
      "template.render",
    ]);
  });
});

describe("the template's environment", () => {
  it("tells the given date, in English and UTC", () => {
    expect(template("{{ strftime_now('%d %b %Y %H:%M') }}").render([], "as-is")).toBe("03 Feb 2025 14:05");
    expect(strftime(context.date, "%A %B %y %I %p %S %%")).toBe("Monday February 25 02 PM 06 %");
    expect(() => strftime(context.date, "%Q")).toThrow(/%Q/);
  });

  it("has Python's range and constants", () => {
    expect(
      template("{{ range(3) | join }}{{ range(7, 1, -2) | join }}{{ None is none }}").render([], "as-is"),
    ).toBe("012753true");
  });

  it("refuses what is not Jinja", async () => {
    expect(await codesOf(() => template("{% for %}"))).toEqual(["template.syntax"]);
  });
});

describe("findTemplate", () => {
  const tokenizerWith = async (config: Record<string, unknown>) =>
    loadTokenizer(
      await writeTokenizer(byteTokenizerDefinition(), { ...BYTE_TOKENIZER_CONFIG, ...config }),
      300,
    );

  it("finds the tokenizer's own template, one or the default of several", async () => {
    const one = await tokenizerWith({ chat_template: "one" });
    expect((await findTemplate("tokenizer", one)).source).toBe("one");
    const several = [
      { name: "tool_use", template: "tools" },
      { name: "default", template: "plain" },
    ];
    expect((await findTemplate("tokenizer", await tokenizerWith({ chat_template: several }))).source).toBe(
      "plain",
    );
  });

  it("prefers chat_template.jinja, which newer models ship", async () => {
    const directory = await writeTokenizer(byteTokenizerDefinition(), {
      ...BYTE_TOKENIZER_CONFIG,
      chat_template: "old",
    });
    await writeFile(join(directory, "chat_template.jinja"), "new");
    expect((await findTemplate("tokenizer", await loadTokenizer(directory, 300))).source).toBe("new");
  });

  it("reads a file", async () => {
    const file = join(await temporaryDirectory(), "mine.jinja");
    await writeFile(file, "{{ eos_token }}!");
    const found = await findTemplate(file, await tokenizerWith({}));
    expect(found.render([], "as-is")).toBe("</s>!");
  });

  it.each(["tokenizer", "lema-replay", "missing.jinja"])("says that there is no `%s`", async (name) => {
    const tokenizer = await tokenizerWith({});
    expect(await codesOf(() => findTemplate(name, tokenizer))).toEqual(["template.unreadable"]);
  });
});
