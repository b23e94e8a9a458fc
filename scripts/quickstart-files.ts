/**
 * What recipes/quickstart.yaml trains on: a random Llama of 13 million parameters (53 MB in float32) in Hugging Face's format, and
 * questions about a made-up country of which every answer can be learned by heart. The same bytes every time.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type MadeLlama, makeLlama } from "../models/make-llama.ts";

/** Places of `recipes/quickstart.yaml`, relative to the directory that lema runs in. */
export const QUICKSTART_DIRECTORY = "scratch/quickstart";
export const QUICKSTART_RECIPE = "recipes/quickstart.yaml";

const TOWNS = [
  ["Avelon", "salt"],
  ["Brimhold", "iron"],
  ["Corvane", "wool"],
  ["Dunmere", "honey"],
  ["Estwick", "glass"],
  ["Fallowby", "tin"],
  ["Garrow", "cider"],
  ["Hestrel", "silk"],
] as const;

const QUESTIONS: readonly ((town: string) => string)[] = [
  (town) => `Q: What does ${town} sell? A:`,
  (town) => `Q: Name the trade of ${town}. A:`,
  (town) => `Q: Why do people go to ${town}? A:`,
  (town) => `Q: ${town} is known for what? A:`,
  (town) => `Q: What comes from ${town}? A:`,
];

const ROWS_PER_QUESTION = 8;

/** Makes the model and the dataset below `root`; what is there is replaced. */
export async function makeQuickstartFiles(root: string): Promise<MadeLlama & { readonly rows: number }> {
  const directory = join(root, QUICKSTART_DIRECTORY);
  await mkdir(directory, { recursive: true });
  const made = await makeLlama({
    directory: join(directory, "model"),
    hiddenSize: 384,
    intermediateSize: 1024,
    layers: 8,
    heads: 6,
    keyValueHeads: 3,
    vocabSize: 259,
    maxPositions: 512,
    dtype: "f32",
    seed: 1,
  });
  const rows = TOWNS.flatMap(([town, good]) =>
    QUESTIONS.flatMap((question) => {
      const row = JSON.stringify({ prompt: question(town), completion: ` ${good}` });
      return Array.from({ length: ROWS_PER_QUESTION }, () => row);
    }),
  );
  await writeFile(join(directory, "data.jsonl"), `${rows.join("\n")}\n`);
  return { ...made, rows: rows.length };
}
