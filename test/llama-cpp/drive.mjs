/**
 * Loads a GGUF file in llama.cpp and prints what it makes of texts and prompts, as JSON:
 *
 *     node test/llama-cpp/drive.mjs FOLDER < {"model": FILE, "texts": [...], "prompts": [[ids]...], "count": N}
 *
 * FOLDER is where scripts/llama-cpp.sh installed it. For each text the tokens and the text they spell; for each prompt
 * the N tokens that follow greedily. Plain JavaScript, so that it starts without a loader.
 */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const entry = join(resolve(process.argv[2]), "node_modules/node-llama-cpp/dist/index.js");
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(entry).href);
const { model: modelPath, texts, prompts, count } = JSON.parse(readFileSync(0, "utf8"));

const llama = await getLlama({
  gpu: false,
  build: "never",
  skipDownload: true,
  maxThreads: 1,
  logLevel: LlamaLogLevel.error,
});
const model = await llama.loadModel({ modelPath });
const longest = Math.max(0, ...prompts.map((prompt) => prompt.length));
const context = await model.createContext({
  contextSize: longest + count,
  batchSize: longest + count,
  threads: 1,
  experimentalKvCacheKeyType: "F32",
  experimentalKvCacheValueType: "F32",
  flashAttention: false,
});

const greedy = [];
for (const prompt of prompts) {
  const sequence = context.getSequence();
  const tokens = [];
  for await (const token of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    tokens.push(token);
    if (tokens.length === count) break;
  }
  sequence.dispose();
  greedy.push(tokens);
}
const spelled = texts.map((text) => {
  const tokens = model.tokenize(text, true);
  return { tokens: [...tokens], text: model.detokenize(tokens, true) };
});
const { bos, eos } = model.tokens;
process.stdout.write(
  JSON.stringify({ greedy, spelled, bos, eos, addsBos: model.tokens.shouldPrependBosToken }),
);
await llama.dispose();
