/**
 * A recipe for a P100 and what it needs, small enough to be trained in a moment on any processor. As a script it makes
 * one whose notebooks carry the model as well: tiny-project.ts DIRECTORY
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeLlama } from "../../models/make-llama.ts";

const RECIPE = `lema: 1
model: MODEL
dataset: {path: data/reply.jsonl, format: chat, template: lema-reply, validation: 10%}
sequence: {length: 512, truncation: drop}
adapter: {rank: 2, targets: all-linear}
training: {steps: 2, batch_size: 2, learning_rate: 1e-3, precision: fp16}
memory: {vram: 2 GiB, ram: 1 GiB}
hardware: p100
output: runs/tiny
`;

/** What `lema dataset build` is to be told. */
export const DATASET_OPTIONS = ["-o", "data/reply.jsonl", "--examples", "24", "--held-out", "3"] as const;

/** Writes tiny.yaml, which names `model`, and a model into the folder `model`. */
export async function makeTinyProject(directory: string, model: string): Promise<void> {
  await makeLlama({
    directory: join(directory, "model"),
    hiddenSize: 32,
    intermediateSize: 64,
    layers: 2,
    heads: 2,
    vocabSize: 259,
    maxPositions: 512,
    dtype: "f16",
    seed: 1,
  });
  writeFileSync(join(directory, "tiny.yaml"), RECIPE.replace("MODEL", model));
}

const [script, directory] = process.argv.slice(1);
if (script === fileURLToPath(import.meta.url) && directory !== undefined)
  await makeTinyProject(directory, "model");
