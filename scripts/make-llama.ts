/**
 * Makes a random Llama in Hugging Face's format.
 *
 *     tsx scripts/make-llama.ts --out DIR --hidden 256 --layers 8 --heads 8 --kv-heads 4 --intermediate 704 \
 *       --vocab 512 --dtype bf16 --seed 1 [--head-dim D] [--max-positions P] [--shards N] [--tied]
 *       [--rope-scaling llama3|linear]
 */
import { existsSync, readdirSync } from "node:fs";
import { Command, InvalidArgumentError, Option } from "commander";
import { makeLlama } from "../models/make-llama.ts";
import { DiagnosticError } from "../schemas/diagnostic.ts";

interface Flags {
  readonly out: string;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads?: number;
  readonly headDim?: number;
  readonly intermediate: number;
  readonly vocab: number;
  readonly maxPositions: number;
  readonly dtype: "f32" | "f16" | "bf16";
  readonly seed: number;
  readonly shards: number;
  readonly tied: boolean;
  readonly ropeScaling?: "linear" | "llama3";
}

function count(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError("It must be a positive whole number.");
  return Number(text);
}

const program = new Command("make-llama")
  .description("Makes a random Llama in Hugging Face's format.")
  .requiredOption("--out <dir>", "an empty or new directory")
  .requiredOption("--hidden <n>", "hidden size", count)
  .requiredOption("--layers <n>", "blocks", count)
  .requiredOption("--heads <n>", "query heads", count)
  .option("--kv-heads <n>", "key/value heads (default: as many as query heads)", count)
  .option("--head-dim <n>", "size of a head (default: hidden / heads)", count)
  .requiredOption("--intermediate <n>", "MLP size", count)
  .requiredOption("--vocab <n>", "rows of the embedding", count)
  .option("--max-positions <n>", "max_position_embeddings", count, 2048)
  .addOption(new Option("--dtype <dtype>", "storage dtype").choices(["f32", "f16", "bf16"]).default("bf16"))
  .option("--seed <n>", "seed of the weights", count, 1)
  .option("--shards <n>", "weight files", count, 1)
  .option("--tied", "tie the output projection to the embedding", false)
  .addOption(new Option("--rope-scaling <kind>", "rope scaling").choices(["linear", "llama3"]))
  .parse();

const flags = program.opts<Flags>();
if (existsSync(flags.out) && readdirSync(flags.out).length > 0)
  program.error(`error: ${flags.out} is not empty`);

try {
  const made = await makeLlama({
    directory: flags.out,
    hiddenSize: flags.hidden,
    intermediateSize: flags.intermediate,
    layers: flags.layers,
    heads: flags.heads,
    vocabSize: flags.vocab,
    maxPositions: flags.maxPositions,
    dtype: flags.dtype,
    seed: flags.seed,
    shards: flags.shards,
    tiedEmbeddings: flags.tied,
    ...(flags.kvHeads === undefined ? {} : { keyValueHeads: flags.kvHeads }),
    ...(flags.headDim === undefined ? {} : { headDim: flags.headDim }),
    ...(flags.ropeScaling === undefined ? {} : { ropeScaling: flags.ropeScaling }),
  });
  console.log(`${flags.out}: ${made.parameters} parameters, ${made.bytes} bytes of weights`);
} catch (error) {
  if (!(error instanceof DiagnosticError)) throw error;
  program.error(error.message);
}
