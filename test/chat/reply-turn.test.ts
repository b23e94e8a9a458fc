import { describe, expect, it } from "vitest";
import { completeReply, encodeConversation, GREEDY, NEVER } from "../../chat/complete.ts";
import { readReplyTurn } from "../../chat/reply-turn.ts";
import { ChatTemplate, TEMPLATE_DATE } from "../../data/template.ts";
import { loadTokenizer } from "../../data/tokenizer.ts";
import { EOS } from "../data/byte-tokenizer.ts";
import { drain } from "./drain.ts";
import { scriptedModel } from "./scripted-model.ts";

const builtin = async (template: string) => (await scriptedModel({ template })).turn;

describe("where a reply ends", () => {
  it("is at the end of the sequence where the template writes it there", async () => {
    expect(await builtin("lema-reply")).toEqual({ opening: "", endTokens: new Set([EOS]), stops: [] });
  });

  it("is at the template's own mark: a token where the vocabulary has it as one, else a text", async () => {
    expect(await builtin("chatml")).toEqual({
      opening: "",
      endTokens: new Set([EOS]),
      stops: ["<|im_end|>"],
    });
    const directory = new URL("../golden/data/byte-level", import.meta.url).pathname;
    const tokenizer = await loadTokenizer(directory, 520);
    const { bosToken, eosToken } = tokenizer;
    const source = "{{ messages[-1].content }}{% if not add_generation_prompt %}<|eot_id|>\n{% endif %}";
    const template = new ChatTemplate("t", source, { bosToken, eosToken, date: TEMPLATE_DATE });
    const [eot] = tokenizer.encode("<|eot_id|>");
    const turn = readReplyTurn(template, tokenizer, [7]);
    expect(turn.endTokens).toEqual(new Set([7, tokenizer.eosId, eot]));
    expect(turn.stops).toEqual([]);
  });

  it("has the space in front that Llama 2 writes there", async () => {
    expect((await builtin("llama2")).opening).toBe(" ");
  });
});

it("what the template writes before a reply is no part of its text, and what ends it neither", async () => {
  const model = await scriptedModel({ respond: () => " Hi. END more" });
  const turn = { opening: " ", endTokens: new Set([EOS]), stops: [" END"] };
  const prompt = encodeConversation(model, [{ role: "user", content: "a" }]);
  const options = { maxTokens: null, sampling: GREEDY, stops: [], signal: NEVER };
  const { pieces, result } = await drain(completeReply({ ...model, turn }, prompt, options));
  expect(pieces.join("")).toBe("Hi.");
  expect(result).toMatchObject({ text: "Hi.", reason: "stop string" });
});
