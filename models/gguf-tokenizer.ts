/**
 * tokenizer.json as GGUF's tokenizer fields. llama.cpp has tokenizers of its own, chosen by name: byte-level BPE with one
 * of a list of ways to split a text (`gpt2`), and SentencePiece's BPE (`llama`). A tokenizer that it would run
 * differently is refused.
 */
import { type Diagnostic, diagnostic } from "../schemas/diagnostic.ts";
import type { JsonObject } from "./field-reader.ts";
import type { GgufValue } from "./gguf-writer.ts";
import { refuse } from "./refuse.ts";
import type { PlainJson } from "./strict-json.ts";

export interface TokenizerFacts {
  /** tokenizer.json. */
  readonly definition: JsonObject;
  /** Its path, for diagnostics. */
  readonly file: string;
  /** Rows of the embedding; ids that the tokenizer lacks become unused tokens. */
  readonly vocabularyRows: number;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly addsBos: boolean;
  /** Jinja source. */
  readonly chatTemplate: string | undefined;
}

const TOKEN_TYPES = { normal: 1, unknown: 2, control: 3, user: 4, unused: 5, byte: 6 } as const;

/** Ways to split a text before merging: what tokenizer.json says, and llama.cpp's name for it. */
const GPT2_SPLIT = { type: "ByteLevel", use_regex: true };
const LLAMA3_REGEX =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** Score of a piece that no merge makes: SentencePiece would join it last. */
const NEVER = -1e9;

/** The pairs `tokenizer.…`. Throws `export.tokenizer`; warns with it of texts that llama.cpp reads otherwise. */
export function ggufTokenizer(facts: TokenizerFacts): {
  readonly pairs: [string, GgufValue][];
  readonly diagnostics: readonly Diagnostic[];
} {
  const model = objectOf(facts.definition.model);
  if (model?.type !== "BPE") unsupported(facts, `its model is ${JSON.stringify(model?.type ?? null)}`);
  const vocabulary = readVocabulary(model, facts);
  const merges = readMerges(model, facts);
  const kind =
    model.byte_fallback === true
      ? sentencePiece(vocabulary, merges, facts)
      : byteLevel(vocabulary, merges, model, facts);
  const { bosId, eosId, addsBos, chatTemplate } = facts;
  const unknown = vocabulary.find(({ text }) => text === model.unk_token)?.id;
  const id = (name: string, value: number | undefined): [string, GgufValue][] =>
    value === undefined ? [] : [[`tokenizer.ggml.${name}_token_id`, { type: "u32", value }]];
  const pairs: [string, GgufValue][] = [
    ["tokenizer.ggml.tokens", { type: "strings", value: vocabulary.map(({ text }) => text) }],
    ...kind,
    ...id("bos", bosId),
    ...id("eos", eosId),
    ...id("unknown", unknown),
    ["tokenizer.ggml.add_bos_token", { type: "bool", value: addsBos }],
    ["tokenizer.ggml.add_eos_token", { type: "bool", value: false }],
  ];
  if (chatTemplate !== undefined)
    pairs.push(["tokenizer.chat_template", { type: "string", value: chatTemplate }]);
  return {
    pairs,
    diagnostics: objectOf(facts.definition.pre_tokenizer)?.type === "Metaspace" ? [spaces(facts)] : [],
  };
}

/** Metaspace adds its space once and not before another; llama.cpp adds one after every special token too. */
function spaces({ file }: TokenizerFacts): Diagnostic {
  return diagnostic("export.tokenizer", {
    severity: "warning",
    summary: `${file}: llama.cpp reads a text that begins with a space, or follows a special token, with one more space`,
    where: { file },
  });
}

interface Token {
  readonly id: number;
  readonly text: string;
  readonly type: keyof typeof TOKEN_TYPES;
}

type Pair = readonly [string, string];

/** A token for every row of the embedding. */
function readVocabulary(model: JsonObject, facts: TokenizerFacts): Token[] {
  const { vocabularyRows } = facts;
  const tokens = Array.from(
    { length: vocabularyRows },
    (_, id): Token => ({ id, text: `[UNUSED${id}]`, type: "unused" }),
  );
  for (const [text, id] of Object.entries(objectOf(model.vocab) ?? {})) {
    const byte = model.byte_fallback === true && /^<0x[0-9A-F]{2}>$/.test(text);
    const type = byte ? "byte" : text === model.unk_token ? "unknown" : "normal";
    place(tokens, { id: id as number, text, type }, facts);
  }
  const added = facts.definition.added_tokens;
  for (const token of Array.isArray(added) ? added : []) {
    const { id, content, special } = objectOf(token) ?? {};
    const text = content as string;
    const type = text === model.unk_token ? "unknown" : special === true ? "control" : "user";
    place(tokens, { id: id as number, text, type }, facts);
  }
  return tokens;
}

function place(tokens: Token[], token: Token, facts: TokenizerFacts): void {
  if (!Number.isInteger(token.id) || token.id < 0 || token.id >= tokens.length)
    unsupported(facts, `the id ${token.id} of ${JSON.stringify(token.text)} has no row in the embedding`);
  tokens[token.id] = token;
}

/** `"a b"`, or `["a", "b"]` as newer files have it. */
function readMerges(model: JsonObject, facts: TokenizerFacts): Pair[] {
  const merges = Array.isArray(model.merges) ? model.merges : [];
  return merges.map((merge) => {
    const parts = typeof merge === "string" ? merge.split(" ") : merge;
    if (Array.isArray(parts) && parts.length === 2) return parts as unknown as Pair;
    return unsupported(facts, `it has the merge ${JSON.stringify(merge)}`);
  });
}

function byteLevel(
  vocabulary: readonly Token[],
  merges: readonly Pair[],
  model: JsonObject,
  facts: TokenizerFacts,
): [string, GgufValue][] {
  const { pre, ignoresMerges } = splitName(facts);
  if ((model.ignore_merges === true) !== ignoresMerges)
    unsupported(facts, `its ignore_merges is not that of llama.cpp's ${pre}`);
  if (facts.definition.normalizer != null) unsupported(facts, "it normalizes texts");
  return [
    ["tokenizer.ggml.model", { type: "string", value: "gpt2" }],
    ["tokenizer.ggml.pre", { type: "string", value: pre }],
    types(vocabulary),
    ["tokenizer.ggml.merges", { type: "strings", value: merges.map(([a, b]) => `${a} ${b}`) }],
  ];
}

function splitName(facts: TokenizerFacts): { pre: string; ignoresMerges: boolean } {
  const pre = objectOf(facts.definition.pre_tokenizer);
  const steps =
    pre?.type === "Sequence" && Array.isArray(pre.pretokenizers) ? pre.pretokenizers.map(objectOf) : [pre];
  const [first, second] = steps;
  if (steps.length === 1 && isByteLevel(first, GPT2_SPLIT.use_regex))
    return { pre: "gpt-2", ignoresMerges: false };
  if (
    steps.length === 2 &&
    first?.type === "Digits" &&
    first.individual_digits === true &&
    isByteLevel(second, true)
  )
    return { pre: "smollm", ignoresMerges: false };
  const pattern = objectOf(first?.pattern)?.Regex;
  if (steps.length === 2 && first?.type === "Split" && pattern === LLAMA3_REGEX && isByteLevel(second, false))
    return { pre: "llama-bpe", ignoresMerges: true };
  return unsupported(facts, "llama.cpp has no name for the way in which it splits texts");
}

function isByteLevel(step: JsonObject | undefined, regex: boolean): boolean {
  return step?.type === "ByteLevel" && step.add_prefix_space !== true && (step.use_regex ?? true) === regex;
}

/**
 * SentencePiece joins the pair whose whole has the best score, where BPE takes the first merge of its list; the two agree
 * when the merges of each piece stand together, which makes the place of its first merge its score.
 */
function sentencePiece(
  vocabulary: readonly Token[],
  merges: readonly Pair[],
  facts: TokenizerFacts,
): [string, GgufValue][] {
  const rank = new Map<string, number>();
  let last = "";
  for (const [index, [a, b]] of merges.entries()) {
    const whole = a + b;
    if (whole !== last && rank.has(whole))
      unsupported(facts, `the merges of ${JSON.stringify(whole)} stand apart`);
    if (!rank.has(whole)) rank.set(whole, index);
    last = whole;
  }
  const scoreOf = ({ text, type }: Token): number =>
    type !== "normal" || [...text].length === 1 ? 0 : -(rank.get(text) ?? -NEVER);
  return [
    ["tokenizer.ggml.model", { type: "string", value: "llama" }],
    ["tokenizer.ggml.pre", { type: "string", value: "default" }],
    ["tokenizer.ggml.scores", { type: "f32s", value: vocabulary.map(scoreOf) }],
    types(vocabulary),
    ["tokenizer.ggml.add_space_prefix", { type: "bool", value: prependsSpace(facts) }],
  ];
}

/** `Prepend ▁` with `Replace " " ▁`, or the Metaspace of newer files. */
function prependsSpace(facts: TokenizerFacts): boolean {
  const { normalizer, pre_tokenizer } = facts.definition;
  const stepsOf = (value: PlainJson | undefined): (JsonObject | undefined)[] => {
    const step = objectOf(value);
    return step?.type === "Sequence" && Array.isArray(step.normalizers)
      ? step.normalizers.map(objectOf)
      : [step];
  };
  const steps = stepsOf(normalizer);
  const metaspace = objectOf(pre_tokenizer);
  if (metaspace?.type === "Metaspace" && metaspace.split === false && steps[0] === undefined)
    return metaspace.prepend_scheme !== "never";
  const known = steps.every((step) => step?.type === "Prepend" || step?.type === "Replace");
  if (!known || metaspace !== undefined)
    unsupported(facts, "it normalizes texts in another way than SentencePiece");
  return steps.some((step) => step?.type === "Prepend");
}

function types(vocabulary: readonly Token[]): [string, GgufValue] {
  return [
    "tokenizer.ggml.token_type",
    { type: "i32s", value: vocabulary.map(({ type }) => TOKEN_TYPES[type]) },
  ];
}

function objectOf(value: PlainJson | undefined): JsonObject | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
}

function unsupported({ file }: TokenizerFacts, what: string): never {
  return refuse(
    "export.tokenizer",
    file,
    what,
    "llama.cpp would read texts differently; use another tokenizer",
  );
}
