/** What a prepared dataset is made of, as numbers and as text. */
import type { RowSource } from "./row-source.ts";
import { type Samples, sampleLength } from "./samples.ts";

export interface LengthBucket {
  /** Tokens, inclusive. */
  readonly from: number;
  /** Tokens, inclusive. */
  readonly to: number;
  readonly samples: number;
}

export interface DatasetStatistics {
  /** Samples in the file. */
  readonly samples: number;
  readonly trainSamples: number;
  readonly validationSamples: number;
  /** Left out because they were longer than the sequence. */
  readonly droppedTooLong: number;
  /** Left out because nothing in them is learned. */
  readonly droppedUnsupervised: number;
  /** Cut to the sequence length. */
  readonly truncated: number;
  /** Rows of `sequenceLength`. */
  readonly sequenceLength: number;
  readonly trainRows: number;
  readonly validationRows: number;
  /** Tokens of the samples used, padding not counted. */
  readonly tokens: number;
  /** Of these, the ones that the loss is taken over. */
  readonly supervisedTokens: number;
  /** Positions that hold padding. */
  readonly paddingTokens: number;
  /** Lengths of all samples of the file, as they were before truncation. */
  readonly lengths: readonly LengthBucket[];
  readonly longest: number;
}

/** Counts lengths in buckets whose width is the same power of two, at most sixteen, from the shortest sample's on. */
export function lengthHistogram(samples: Samples): { lengths: LengthBucket[]; longest: number } {
  let longest = 0;
  for (let i = 0; i < samples.count; i++) longest = Math.max(longest, sampleLength(samples, i));
  let width = 1;
  while (width * 16 < longest) width *= 2;
  const counts = new Array<number>(Math.ceil(longest / width)).fill(0);
  for (let i = 0; i < samples.count; i++) {
    const bucket = Math.max(0, Math.ceil(sampleLength(samples, i) / width) - 1);
    counts[bucket] = (counts[bucket] ?? 0) + 1;
  }
  const buckets = counts.map((count, i) => ({ from: i * width + 1, to: (i + 1) * width, samples: count }));
  const lengths = buckets.slice(buckets.findIndex(({ samples: some }) => some > 0));
  return { lengths, longest };
}

/** Sums over the rows of the splits. */
export function tokenCounts(
  splits: readonly RowSource[],
  sampleTokens: number,
): Pick<DatasetStatistics, "tokens" | "supervisedTokens" | "paddingTokens"> {
  const positions = splits.reduce((sum, { rows, sequenceLength }) => sum + rows * sequenceLength, 0);
  const supervisedTokens = splits.reduce(
    (sum, { supervised }) => sum + supervised.reduce((rows, count) => rows + count, 0),
    0,
  );
  return { tokens: sampleTokens, supervisedTokens, paddingTokens: positions - sampleTokens };
}

const BAR_WIDTH = 40;
const BEYOND = " > sequence";

/** A few lines of text and a histogram of sample lengths, at most `width` characters wide; no colour. */
export function formatStatistics(s: DatasetStatistics, width = Number.POSITIVE_INFINITY): string {
  const positions = s.tokens + s.paddingTokens;
  const lines = [
    `samples     ${whole(s.samples)} (${whole(s.trainSamples)} train, ${whole(s.validationSamples)} validation)`,
    `rows        ${whole(s.trainRows + s.validationRows)} of ${whole(s.sequenceLength)} tokens` +
      ` (${whole(s.trainRows)} train, ${whole(s.validationRows)} validation)`,
    `tokens      ${whole(s.tokens)}, ${percent(s.supervisedTokens, s.tokens)} supervised,` +
      ` ${percent(s.paddingTokens, positions)} of the rows is padding`,
  ];
  const left = [
    [s.droppedTooLong, "longer than the sequence, dropped"],
    [s.truncated, "longer than the sequence, cut"],
    [s.droppedUnsupervised, "without supervised tokens, dropped"],
  ] as const;
  for (const [count, what] of left) if (count > 0) lines.push(`            ${whole(count)} ${what}`);
  return [...lines, formatLengths(s.lengths, s.sequenceLength, width)].join("\n");
}

/** A histogram, one bucket a line of at most `width` characters. */
export function formatLengths(
  lengths: readonly LengthBucket[],
  sequenceLength: number,
  width = Number.POSITIVE_INFINITY,
): string {
  const most = Math.max(1, ...lengths.map(({ samples }) => samples));
  const range = ({ from, to }: LengthBucket): string => (from === to ? `${to}` : `${from}–${to}`);
  const rangeWidth = Math.max(...lengths.map((bucket) => range(bucket).length));
  const countWidth = whole(most).length;
  const barWidth = Math.max(1, Math.min(BAR_WIDTH, width - rangeWidth - countWidth - 6 - BEYOND.length));
  const rows = lengths.map((bucket) => {
    const bar = "█".repeat(Math.ceil((bucket.samples / most) * barWidth));
    const beyond = bucket.from > sequenceLength ? BEYOND : "";
    return `  ${range(bucket).padStart(rangeWidth)}  ${whole(bucket.samples).padStart(countWidth)}  ${bar}${beyond}`.trimEnd();
  });
  return ["length", ...rows].join("\n");
}

/** `12,345`; the same in every locale. */
function whole(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

function percent(part: number, of: number): string {
  return `${of === 0 ? "0.0" : ((100 * part) / of).toFixed(1)} %`;
}
