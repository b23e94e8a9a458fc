/** Which samples can be trained on at a sequence length, and what is done with those that cannot. */
import { diagnostic } from "../schemas/diagnostic.ts";
import type { Recipe } from "../schemas/recipe.ts";
import { countSupervised } from "./pack.ts";
import { Problems } from "./problems.ts";
import { type Samples, sampleLength } from "./samples.ts";

export interface FitRules {
  /** Tokens in one row. */
  readonly length: number;
  /** What becomes of a sample that is longer. */
  readonly truncation: Recipe["sequence"]["truncation"];
  /** What becomes of a sample in which nothing is learned, perhaps because its end was cut. */
  readonly unsupervised: "error" | "drop";
}

export interface FittedSamples {
  /** Indices of the samples to use, in file order; each has a supervised token within the sequence length. */
  readonly kept: Uint32Array;
  /** Of each sample of the file: its supervised tokens within the sequence length; 0 where it is not used. */
  readonly supervised: Uint32Array;
  readonly droppedTooLong: number;
  readonly droppedUnsupervised: number;
  readonly truncated: number;
}

/** Applies the rules; throws all `data.too-long` and `data.unsupervised` of `file` at once where they are errors. */
export function fitSamples(samples: Samples, file: string, rules: FitRules): FittedSamples {
  const problems = new Problems();
  const kept: number[] = [];
  const supervised = new Uint32Array(samples.count);
  const counts = { droppedTooLong: 0, droppedUnsupervised: 0, truncated: 0 };
  for (let i = 0; i < samples.count; i++) {
    const where = { file, line: samples.lines[i]! };
    const length = sampleLength(samples, i);
    const tooLong = length > rules.length;
    if (tooLong && rules.truncation === "error") {
      const summary = `the sample has ${length} tokens, the sequence holds ${rules.length}`;
      const hint = "raise `sequence.length`, or set `sequence.truncation` to `drop` or `end`";
      problems.add(diagnostic("data.too-long", { summary, where, hint }));
      continue;
    }
    if (tooLong && rules.truncation === "drop") {
      counts.droppedTooLong++;
      continue;
    }
    supervised[i] = countSupervised(samples.read(i).labels, Math.min(length, rules.length));
    if (supervised[i] === 0) {
      if (rules.unsupervised === "drop") counts.droppedUnsupervised++;
      else {
        const within = tooLong ? ` within the first ${rules.length} of its ${length} tokens` : "";
        const hint = "remove the row, or set `dataset.unsupervised_rows` to `drop`";
        problems.add(
          diagnostic("data.unsupervised", { summary: `nothing is learned${within}`, where, hint }),
        );
      }
      continue;
    }
    if (tooLong) counts.truncated++;
    kept.push(i);
  }
  problems.throwIfAny(file);
  return { kept: Uint32Array.from(kept), supervised, ...counts };
}
