/** The model of the benchmarks: a random Llama of 223 M parameters in bf16. */
import { existsSync } from "node:fs";
import { makeLlama } from "../models/make-llama.ts";

export const BENCH_VOCABULARY = 32000;

/** Writes the model to the directory, unless it is there. */
export async function ensureBenchModel(directory: string): Promise<void> {
  if (existsSync(directory)) return;
  await makeLlama({
    directory,
    hiddenSize: 1024,
    intermediateSize: 2816,
    layers: 12,
    heads: 16,
    vocabSize: BENCH_VOCABULARY,
    dtype: "bf16",
    seed: 1,
  });
}
