/**
 * From a sample to token ids and labels.
 *
 * The whole text is tokenized at once, as Transformers does, and the loss mask is laid over it by offset: a token is
 * learned if any character of it is. (Tokenizing segment by segment would give ids that no other tool gives.)
 *
 * Invariants: at most one BOS in front; a sample that ends in something learned ends in an EOS that is learned, whatever
 * the padding token is; `labels[i]` is `ids[i]` or −100, not shifted (`pack.ts` shifts).
 */
import { DiagnosticError, diagnostic, invariant } from "../schemas/diagnostic.ts";
import type { Message, RawSample, Segment } from "./formats/format.ts";
import type { ChatTemplate, Span, TrainedText } from "./template.ts";
import type { TextTokenizer } from "./tokenizer.ts";

/** Hugging Face's mark for a position without a loss. */
export const IGNORED = -100;

export interface EncodedSample {
  readonly ids: readonly number[];
  /** As long as `ids`, not shifted. */
  readonly labels: readonly number[];
  /** A token spans the border of a trained part, so generation will see other tokens than training did. */
  readonly mergedBoundary: boolean;
}

export interface Encoder {
  readonly tokenizer: TextTokenizer;
  /** Undefined for formats without conversations. */
  readonly template: ChatTemplate | undefined;
  readonly trainOn: "assistant" | "all";
}

/** Encodes one sample; throws `template.*`, `tokenizer.offsets` or `tokenizer.vocabulary` when it cannot be. */
export function encodeSample(sample: RawSample, { tokenizer, template, trainOn }: Encoder): EncodedSample {
  if (sample.kind === "tokens") return checkedTokens(sample.ids, sample.labels, tokenizer.vocabularyRows);
  let rendered: TrainedText;
  if (sample.kind === "conversation") {
    invariant(template !== undefined, "a conversation needs a template");
    rendered = template.renderTrained(sample.messages);
  } else {
    rendered = join(sample.segments);
  }
  const all = { start: 0, end: rendered.text.length };
  const trained = trainOn === "all" ? [all] : rendered.trained;
  const endsInReply = sample.kind === "segments" || isReply(sample.messages.at(-1));
  return encodeText({ text: rendered.text, trained }, tokenizer, endsInReply ? "append-eos" : "as-is");
}

/** Ids of a text as the model will see it at the start of a sequence: with exactly one BOS where the tokenizer has one. */
export function encodePrompt(text: string, tokenizer: TextTokenizer): number[] {
  const ids = [...tokenizer.encode(text)];
  if (tokenizer.addsBos && ids[0] !== tokenizer.bosId) ids.unshift(tokenizer.bosId!);
  return ids;
}

function encodeText(
  { text, trained }: TrainedText,
  tokenizer: TextTokenizer,
  ending: "append-eos" | "as-is",
): EncodedSample {
  const ids = [...tokenizer.encode(text)];
  const { learned, mergedBoundary } = mask(text, ids, trained, tokenizer);
  if (tokenizer.addsBos && ids[0] !== tokenizer.bosId) {
    ids.unshift(tokenizer.bosId!);
    learned.unshift(false);
  }
  if (ending === "append-eos") {
    const eosId = requireEos(tokenizer);
    if (!endsWithEos(text, tokenizer)) ids.push(eosId);
    learned[ids.lastIndexOf(eosId)] = true;
  }
  return { ids, labels: ids.map((id, i) => (learned[i] ? id : IGNORED)), mergedBoundary };
}

/** Which tokens touch a trained span, and whether one of them also touches what comes before it. */
function mask(
  text: string,
  ids: readonly number[],
  trained: readonly Span[],
  tokenizer: TextTokenizer,
): { learned: boolean[]; mergedBoundary: boolean } {
  const everything = trained.length === 1 && trained[0]!.start === 0 && trained[0]!.end === text.length;
  if (everything) return { learned: ids.map(() => true), mergedBoundary: false };
  const offsets = tokenizer.offsets(text, ids);
  if (offsets === undefined) {
    const summary =
      "the tokens do not spell the text (the tokenizer rewrites it, or lacks a character), so no loss mask can be laid over them";
    const hint = "train on all of it (`train_on: all`), or tokenize it yourself and use the format `tokens`";
    throw new DiagnosticError(diagnostic("tokenizer.offsets", { summary, hint }));
  }
  const learned = ids.map(() => false);
  let mergedBoundary = false;
  let token = 0;
  for (const { start, end } of byteSpans(text, trained)) {
    while (token < ids.length && Math.max(offsets.ends[token]!, offsets.starts[token]! + 1) <= start) token++;
    if (token < ids.length && offsets.starts[token]! < start && start < end) mergedBoundary = true;
    for (; token < ids.length && offsets.starts[token]! < end; token++) learned[token] = true;
  }
  return { learned, mergedBoundary };
}

/** UTF-16 spans, in order, as UTF-8 spans. */
function* byteSpans(text: string, spans: readonly Span[]): Generator<Span> {
  let from = 0;
  let bytes = 0;
  const bytesAt = (index: number): number => {
    bytes += Buffer.byteLength(text.slice(from, index), "utf8");
    from = index;
    return bytes;
  };
  for (const { start, end } of spans) yield { start: bytesAt(start), end: bytesAt(end) };
}

function checkedTokens(ids: readonly number[], labels: readonly number[], rows: number): EncodedSample {
  const rowless = ids.find((id) => id >= rows) ?? labels.find((label) => label >= rows);
  if (rowless === undefined) return { ids, labels, mergedBoundary: false };
  const summary = `token id ${rowless} has no row in the model's embedding, which has ${rows}`;
  throw new DiagnosticError(diagnostic("tokenizer.vocabulary", { summary }));
}

function join(segments: readonly Segment[]): TrainedText {
  let text = "";
  const trained: Span[] = [];
  for (const segment of segments) {
    const start = text.length;
    text += segment.text;
    if (segment.trained) trained.push({ start, end: text.length });
  }
  return { text, trained };
}

/** The text may close its last turn itself, perhaps with a line break behind it. */
function endsWithEos(text: string, { eosToken }: TextTokenizer): boolean {
  return eosToken !== undefined && text.trimEnd().endsWith(eosToken);
}

function requireEos({ eosId, eosToken }: TextTokenizer): number {
  if (eosId !== undefined) return eosId;
  const lacks =
    eosToken === undefined
      ? "names no end-of-sequence token"
      : `has no token ${JSON.stringify(eosToken)}, which it names as end of sequence`;
  const summary = `the tokenizer ${lacks}, so answers could not be taught to end`;
  const hint = "set `eos_token` in tokenizer_config.json to a token of tokenizer.json";
  throw new DiagnosticError(diagnostic("tokenizer.no-eos", { summary, hint }));
}

function isReply(message: Message | undefined): boolean {
  return message?.role === "assistant";
}
