/**
 * A byte-level BPE tokenizer without merges: one token a byte, in Hugging Face's tokenizer.json format. Below 259
 * entries the rarer bytes become `<unk>`.
 */
import { invariant } from "../schemas/diagnostic.ts";

const SPECIAL_TOKENS = ["<unk>", "<s>", "</s>"] as const;
/** Bytes in the order in which a small vocabulary takes them: printable ASCII, newline, then the rest. */
const BYTES_BY_USE = [...range(32, 127), 10, ...range(0, 10), ...range(11, 32), ...range(127, 256)];

const CHAT_TEMPLATE =
  "{{ bos_token }}{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}" +
  "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}assistant: {% endif %}";

/** tokenizer.json and tokenizer_config.json of a vocabulary of at most `vocabSize` entries. */
export function makeTokenizer(
  vocabSize: number,
  maxPositions: number,
): { tokenizer: object; config: object } {
  invariant(vocabSize > SPECIAL_TOKENS.length, `a vocabulary of ${vocabSize} has no room for a byte`);
  const bytes = BYTES_BY_USE.slice(0, vocabSize - SPECIAL_TOKENS.length).map(byteSymbol);
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  const bos = { id: "<s>", ids: [1], tokens: ["<s>"] };
  const tokenizer = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: SPECIAL_TOKENS.map((content, id) => ({
      ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
    })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [
        { SpecialToken: { id: "<s>", type_id: 0 } },
        { Sequence: { id: "A", type_id: 0 } },
        { Sequence: { id: "B", type_id: 0 } },
      ],
      special_tokens: { "<s>": bos },
    },
    decoder: byteLevel,
    model: {
      ...{ type: "BPE", dropout: null, unk_token: "<unk>", continuing_subword_prefix: null },
      ...{ end_of_word_suffix: null, fuse_unk: false, byte_fallback: false, ignore_merges: false },
      vocab: Object.fromEntries([...SPECIAL_TOKENS, ...bytes].map((token, id) => [token, id])),
      merges: [],
    },
  };
  const config = {
    bos_token: "<s>",
    chat_template: CHAT_TEMPLATE,
    clean_up_tokenization_spaces: false,
    eos_token: "</s>",
    model_max_length: maxPositions,
    tokenizer_class: "PreTrainedTokenizerFast",
    unk_token: "<unk>",
  };
  return { tokenizer, config };
}

/**
 * The printable character that stands for a byte in byte-level vocabularies (Radford et al. 2019, GPT-2): itself when
 * it is a visible Latin-1 character, else the next unused one from U+0100 on.
 */
function byteSymbol(byte: number): string {
  const visible = (value: number): boolean =>
    (value >= 33 && value <= 126) || (value >= 161 && value <= 172) || (value >= 174 && value <= 255);
  if (visible(byte)) return String.fromCodePoint(byte);
  return String.fromCodePoint(256 + range(0, byte).filter((value) => !visible(value)).length);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}
