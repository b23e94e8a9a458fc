/**
 * How a chat template writes a reply: what it puts in front of the words, and what it ends them with. So a reply is known
 * to be over whatever the tokenizer calls its end of sequence.
 *
 * Example: ChatML's turn ends in `<|im_end|>` and a line break. Where the vocabulary has that as one token, it is an end
 * token; where it is spelled by several, it is a stop string.
 */
import type { ChatTemplate } from "../data/template.ts";
import type { TextTokenizer } from "../data/tokenizer.ts";

export interface ReplyTurn {
  /** What stands between the prompt and the words, such as Llama 2's space; no part of a reply's text. */
  readonly opening: string;
  /** Tokens that end a reply and are no part of it. */
  readonly endTokens: ReadonlySet<number>;
  /** Texts that do. */
  readonly stops: readonly string[];
}

/** A text that no template changes, and that is in none. */
const WORDS = "lorem-ipsum-dolor";

/** `endTokens` are those that the model's files name. A template that rejects a plain exchange throws `template.render`. */
export function readReplyTurn(
  template: ChatTemplate,
  tokenizer: TextTokenizer,
  endTokens: Iterable<number>,
): ReplyTurn {
  const ends = new Set(endTokens);
  if (tokenizer.eosId !== undefined) ends.add(tokenizer.eosId);
  const question = { role: "user", content: "a" };
  const prompt = template.render([question], "with-generation-prompt");
  const whole = template.render([question, { role: "assistant", content: WORDS }], "as-is");
  const at = whole.lastIndexOf(WORDS);
  if (at < 0) return { opening: "", endTokens: ends, stops: [] };
  const ending = whole.slice(at + WORDS.length).trim();
  const ids = tokenizer.encode(ending);
  const opening = whole.startsWith(prompt) ? whole.slice(prompt.length, at) : "";
  if (ids.length === 1 && ending !== "") ends.add(ids[0]!);
  const known = ending === "" || ids.some((id) => ends.has(id));
  return { opening, endTokens: ends, stops: known ? [] : [ending] };
}
