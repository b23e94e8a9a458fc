/** A directory with everything `lema plan recipe.yaml` needs: a tiny Llama, a dataset and a recipe that streams. */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeLlama } from "../../models/make-llama.ts";

const RECIPE = `lema: 1
model: model
dataset: {path: data.jsonl, format: prompt-completion}
sequence: {length: 32}
adapter: {rank: 2}
training: {steps: 3, batch_size: 2, learning_rate: 1e-3}
memory: {ram: 130 MiB, reserve: {ram: 128 MiB}}
hardware: cpu-emulated-gpu
output: runs/small
`;

export async function makeSmallTraining(): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "lema-small-"));
  await makeLlama({
    directory: join(directory, "model"),
    hiddenSize: 64,
    intermediateSize: 192,
    layers: 6,
    heads: 4,
    keyValueHeads: 2,
    vocabSize: 259,
    dtype: "f32",
    seed: 1,
  });
  const rows = Array.from({ length: 8 }, (_, i) =>
    JSON.stringify({ prompt: `${i}+1=`, completion: `${i + 1}` }),
  );
  writeFileSync(join(directory, "data.jsonl"), `${rows.join("\n")}\n`);
  writeFileSync(join(directory, "recipe.yaml"), RECIPE);
  return directory;
}

export function planText(directory: string): string {
  return readFileSync(join(directory, "runs/small/plan.json"), "utf8");
}
