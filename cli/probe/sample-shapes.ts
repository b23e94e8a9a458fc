/** The shapes of the made-up models whose calls `lema probe` times. */
import type { SampleModel } from "./sample-models.ts";

export interface SampleShape extends Omit<SampleModel, "storage" | "precision" | "batchSize"> {
  /** Small ones are what tight budgets run: there a weight is packed for few rows. */
  readonly batchSizes: readonly number[];
}

/** From a tiny model to a layer of one of a billion parameters, short and long sequences, heads of 32, 64 and 128. */
export const SAMPLE_SHAPES: readonly SampleShape[] = [
  {
    hidden: 256,
    inner: 704,
    heads: 8,
    keyValueHeads: 4,
    vocabulary: 512,
    rank: 8,
    sequenceLength: 64,
    batchSizes: [1, 8],
  },
  {
    hidden: 512,
    inner: 1376,
    heads: 8,
    keyValueHeads: 8,
    vocabulary: 2048,
    rank: 8,
    sequenceLength: 128,
    batchSizes: [1, 4],
  },
  {
    hidden: 768,
    inner: 2048,
    heads: 6,
    keyValueHeads: 2,
    vocabulary: 8192,
    rank: 16,
    sequenceLength: 256,
    batchSizes: [1, 4],
  },
  {
    hidden: 1536,
    inner: 4096,
    heads: 24,
    keyValueHeads: 24,
    vocabulary: 16384,
    rank: 16,
    sequenceLength: 512,
    batchSizes: [1, 4],
  },
  {
    hidden: 2048,
    inner: 5632,
    heads: 16,
    keyValueHeads: 4,
    vocabulary: 32000,
    rank: 64,
    sequenceLength: 1024,
    batchSizes: [1],
  },
];

/** For a device, which computes large models and many rows at once: up to the layers of models of 7 and 8 billion parameters. */
export const DEVICE_SHAPES: readonly SampleShape[] = [
  {
    hidden: 512,
    inner: 1376,
    heads: 8,
    keyValueHeads: 8,
    vocabulary: 2048,
    rank: 8,
    sequenceLength: 128,
    batchSizes: [1, 8],
  },
  {
    hidden: 1536,
    inner: 4096,
    heads: 24,
    keyValueHeads: 24,
    vocabulary: 16384,
    rank: 16,
    sequenceLength: 512,
    batchSizes: [1, 8],
  },
  {
    hidden: 2048,
    inner: 5632,
    heads: 16,
    keyValueHeads: 4,
    vocabulary: 32000,
    rank: 64,
    sequenceLength: 1024,
    batchSizes: [1, 4],
  },
  {
    hidden: 4096,
    inner: 11008,
    heads: 32,
    keyValueHeads: 32,
    vocabulary: 32000,
    rank: 16,
    sequenceLength: 512,
    batchSizes: [1, 2, 8],
  },
  {
    hidden: 4096,
    inner: 14336,
    heads: 32,
    keyValueHeads: 8,
    vocabulary: 128256,
    rank: 16,
    sequenceLength: 2048,
    batchSizes: [1, 2],
  },
];
