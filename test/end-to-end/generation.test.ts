/** Prefill and decode against Transformers + PEFT in float32, token by token: test/parity/generation.py. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { caseInputs, readCase } from "./case.ts";
import { type GenerationOptions, ResidentGeneration } from "./generation-by-hand.ts";
import { greedy } from "./greedy.ts";

interface Continuation {
  readonly prompt: readonly number[];
  readonly tokens: readonly number[];
}

const golden = JSON.parse(
  readFileSync(join(import.meta.dirname, "../golden/generation.json"), "utf8"),
) as Record<string, Record<"adapter" | "base", readonly Continuation[]>>;

async function withGeneration<Result>(
  name: string,
  options: Partial<GenerationOptions>,
  use: (generation: ResidentGeneration) => Promise<Result>,
): Promise<Result> {
  const parity = await readCase(name);
  const inputs = await caseInputs(parity);
  const usual = { capacity: 256, rows: 16, adapter: true, backend: "cpu", threads: 2 } as const;
  const generation = await ResidentGeneration.open(parity, inputs, { ...usual, ...options });
  try {
    return await use(generation);
  } finally {
    generation.close();
  }
}

describe.each(Object.keys(golden))("%s", (name) => {
  it.each(["adapter", "base"] as const)("generates the tokens of Transformers with the %s", async (kind) => {
    await withGeneration(name, { adapter: kind === "adapter" }, async (generation) => {
      for (const { prompt, tokens } of golden[name]![kind]) {
        generation.rewind(0);
        const given = await greedy(generation, prompt, tokens.length);
        expect(given).toEqual(tokens);
      }
    });
  });
});

it("the adapter changes what is generated", () => {
  for (const { adapter, base } of Object.values(golden)) expect(adapter).not.toEqual(base);
});

/** 70 tokens: more than a block of attention. */
const TOKENS = Array.from({ length: 70 }, (_, index) => (index * 31 + 7) % 97);

it("gives the same bits in prefill and decode, in runs of any length, on any number of threads, and after going back", async () => {
  const runs = await Promise.all(
    [{ rows: 16 }, { rows: 128 }, { rows: 7, threads: 3 }, { rows: 16, threads: 1, capacity: 70 }].map(
      (options) =>
        withGeneration("gqa_head_dim", options, async (generation) => {
          const whole = await generation.feed(TOKENS, "prefill");
          generation.rewind(40);
          const again = await generation.feed(TOKENS.slice(40), "prefill");
          generation.rewind(65);
          const stepwise = await generation.feed(TOKENS.slice(65), "decode");
          return [whole, again, stepwise];
        }),
    ),
  );
  const bits = runs.flat().map((logits) => Buffer.from(logits.buffer).toString("hex"));
  expect(new Set(bits).size).toBe(1);
});

it("refuses a position behind a full cache", async () => {
  await withGeneration("base", { capacity: 16 }, async (generation) => {
    await generation.feed(TOKENS.slice(0, 16), "prefill");
    await expect(generation.feed([1], "decode")).rejects.toThrow(
      /1 new positions .* behind 16 in a cache of 16/,
    );
  });
});
