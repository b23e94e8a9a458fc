/** What a person wants to see of a tokenized dataset: its first samples as the model sees them, and its duplicates. */
import { createHash } from "node:crypto";
import { IGNORED } from "./encode.ts";
import { type Samples, sampleLength } from "./samples.ts";
import type { TextTokenizer } from "./tokenizer.ts";

/** A run of tokens that are all learned or all not. */
export interface ShownRun {
  readonly text: string;
  readonly trained: boolean;
}

export interface ShownSample {
  readonly line: number;
  readonly tokens: number;
  /** Tokens with a label, before shifting. */
  readonly trainedTokens: number;
  readonly runs: readonly ShownRun[];
}

/** A sample with the same tokens and labels as an earlier one. */
export interface Duplicate {
  readonly line: number;
  readonly firstLine: number;
}

/** Sample `i` as text, cut where training begins and ends. */
export function showSample(samples: Samples, i: number, tokenizer: TextTokenizer): ShownSample {
  const { tokens, labels } = samples.read(i);
  const runs: ShownRun[] = [];
  let trainedTokens = 0;
  for (let from = 0; from < tokens.length; ) {
    const trained = labels[from] !== IGNORED;
    let to = from;
    while (to < tokens.length && (labels[to] !== IGNORED) === trained) to++;
    runs.push({ text: tokenizer.spell([...tokens.subarray(from, to)]), trained });
    if (trained) trainedTokens += to - from;
    from = to;
  }
  return { line: samples.lines[i]!, tokens: sampleLength(samples, i), trainedTokens, runs };
}

/** Every sample that repeats an earlier one, in file order. */
export function findDuplicates(samples: Samples): Duplicate[] {
  const firstLines = new Map<string, number>();
  const duplicates: Duplicate[] = [];
  for (let i = 0; i < samples.count; i++) {
    const hash = createHash("sha256");
    const { tokens, labels } = samples.read(i);
    hash.update(tokens).update(labels);
    const key = hash.digest("base64");
    const line = samples.lines[i]!;
    const firstLine = firstLines.get(key);
    if (firstLine === undefined) firstLines.set(key, line);
    else duplicates.push({ line, firstLine });
  }
  return duplicates;
}
