/** The loop of generation, over a source whose next token follows from the last one. */
import { describe, expect, it } from "vitest";
import { type Generated, type GenerateOptions, generate, type LogitsSource } from "../../chat/generate.ts";

const LETTERS = "abcdefghij";

/** After letter n comes letter n + 1, and j after j; what is fed is written down. */
class Alphabet implements LogitsSource {
  readonly fed: number[][] = [];
  readonly capacity: number;
  length = 0;

  constructor(capacity = 100) {
    this.capacity = capacity;
  }

  async feed(tokens: readonly number[]): Promise<Float32Array> {
    this.fed.push([...tokens]);
    this.length += tokens.length;
    if (this.length > this.capacity) throw new Error("no room");
    const next = Math.min(tokens.at(-1)! + 1, LETTERS.length - 1);
    return Float32Array.from(LETTERS, (_, letter) => (letter === next ? 1 : 0));
  }
}

async function run(
  source: LogitsSource,
  options: Partial<GenerateOptions>,
): Promise<{ pieces: string[]; generated: Generated }> {
  const generation = generate(source, {
    prompt: [0],
    before: [],
    maxTokens: 5,
    sampling: { temperature: 0, topK: null, topP: 1, minP: 0, repetitionPenalty: 1, seed: 1 },
    stops: [],
    endTokens: new Set(),
    spell: (ids) => ids.map((id) => LETTERS[id]).join(""),
    ...options,
  });
  const pieces: string[] = [];
  for (;;) {
    const { value, done } = await generation.next();
    if (done) return { pieces, generated: value };
    pieces.push(value);
  }
}

describe("generation", () => {
  it("feeds the prompt at once and then every token it chose, and gives each as text", async () => {
    const source = new Alphabet();
    const { pieces, generated } = await run(source, { prompt: [4, 0], maxTokens: 3 });
    expect(pieces).toEqual(["b", "c", "d"]);
    expect(generated).toEqual({ tokens: [1, 2, 3], text: "bcd", reason: "max tokens" });
    expect(source.fed).toEqual([[4, 0], [1], [2]]);
  });

  it("ends with an end token, which is no text", async () => {
    const { pieces, generated } = await run(new Alphabet(), { endTokens: new Set([3]), maxTokens: 9 });
    expect(pieces).toEqual(["b", "c"]);
    expect(generated).toEqual({ tokens: [1, 2, 3], text: "bc", reason: "end token" });
  });

  it("ends before a stop string, and gives what only looked like one", async () => {
    const { pieces, generated } = await run(new Alphabet(), { stops: ["bcx", "ef"], maxTokens: 9 });
    expect(pieces).toEqual(["bcd"]);
    expect(generated).toEqual({ tokens: [1, 2, 3, 4, 5], text: "bcd", reason: "stop string" });
    const held = await run(new Alphabet(), { stops: ["bcx"], maxTokens: 2 });
    expect(held).toEqual({
      pieces: ["bc"],
      generated: { tokens: [1, 2], text: "bc", reason: "max tokens" },
    });
  });

  it("ends where the context is full, and feeds nothing beyond it", async () => {
    const source = new Alphabet(4);
    const { generated } = await run(source, { prompt: [0, 0], maxTokens: 9 });
    expect(generated).toEqual({ tokens: [1, 2, 3], text: "bcd", reason: "context full" });
    expect(source.length).toBe(4);
  });

  it("counts prompt, context and its own tokens as repetitions", async () => {
    const penalized = { temperature: 0, topK: null, topP: 1, minP: 0, repetitionPenalty: 1e9, seed: 1 };
    const options = { sampling: penalized, maxTokens: 1 };
    const zeros = new Float32Array(LETTERS.length);
    // Letter 1 leads, letter 2 follows; a penalty takes the lead away.
    const source = (): LogitsSource => ({
      length: 0,
      capacity: 9,
      feed: async () => zeros.with(1, 2).with(2, 1),
    });
    const first = async (given: Partial<GenerateOptions>) =>
      (await run(source(), { ...options, ...given })).generated.tokens;
    expect(await first({})).toEqual([1]);
    expect(await first({ prompt: [1] })).toEqual([2]);
    expect(await first({ before: [1] })).toEqual([2]);
    expect(await first({ maxTokens: 2 })).toEqual([1, 2]);
  });
});
