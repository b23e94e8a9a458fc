/** The greedy continuation of a prompt. */
import { generate, type LogitsSource } from "../../chat/generate.ts";

export async function greedy(
  source: LogitsSource,
  prompt: readonly number[],
  maxTokens: number,
): Promise<readonly number[]> {
  const sampling = { temperature: 0, topK: null, topP: 1, minP: 0, repetitionPenalty: 1, seed: 0 };
  const common = { before: [], stops: [], endTokens: new Set<number>(), spell: () => "" };
  const generation = generate(source, { prompt, maxTokens, sampling, ...common });
  for (;;) {
    const { value, done } = await generation.next();
    if (done) return value.tokens;
  }
}
