/** Planned generation at every budget: the tokens of Transformers + PEFT, and one and the same bits. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compileGeneration } from "../../planner/compile.ts";
import { smallestGenerationMemory } from "../../planner/smallest-memory.ts";
import { GenerationSession } from "../../runtime/generation-session.ts";
import type { GenerationPlan } from "../../schemas/plan.ts";
import {
  caseGenerationInputs,
  type GenerationOptions,
  type ParityCase,
  readCase,
} from "../end-to-end/case.ts";
import { greedy } from "../end-to-end/greedy.ts";

interface Continuation {
  readonly prompt: readonly number[];
  readonly tokens: readonly number[];
}

const golden = JSON.parse(
  readFileSync(join(import.meta.dirname, "../golden/generation.json"), "utf8"),
) as Record<string, Record<"adapter" | "base", readonly Continuation[]>>;

const CAPACITY = 256;
/** Tokens behind all prompts but the first that budgets above the smallest decode one by one; the others come with the prompt. */
const LAST = 40;
/** 70 tokens: more than a block of attention, and than a prefill step of a small budget. */
const TOKENS = Array.from({ length: 70 }, (_, index) => (index * 31 + 7) % 97);

async function planFor(parity: ParityCase, options: GenerationOptions): Promise<GenerationPlan> {
  const inputs = await caseGenerationInputs(parity, options);
  const { plan, diagnostics } = compileGeneration(inputs);
  expect(diagnostics).toEqual([]);
  return plan!;
}

async function withSession<Result>(
  parity: ParityCase,
  plan: GenerationPlan,
  use: (session: GenerationSession) => Promise<Result>,
): Promise<Result> {
  const paths = new Map(Object.entries(plan.meta.paths));
  const adapter = plan.parameters.length > 0 ? parity.adapter.tensors : null;
  const session = await GenerationSession.open(
    plan,
    { paths, adapter },
    { backend: "cpu", serialLanes: false, diskThrottle: null },
  );
  try {
    return await use(session);
  } finally {
    await session.close();
  }
}

/** Plans for the smallest budget of a tier, for one in the middle, and one where all is resident. */
async function plansOf(
  parity: ParityCase,
  tier: "ram" | "vram",
  adapter: boolean,
): Promise<readonly GenerationPlan[]> {
  const plan = (budget: number) => planFor(parity, { adapter, capacity: CAPACITY, [tier]: budget });
  const plenty = { adapter, capacity: CAPACITY, [tier]: 2 ** 34 };
  const smallest = smallestGenerationMemory(await caseGenerationInputs(parity, plenty))[tier]!.total;
  const resident = await planFor(parity, plenty);
  const middle = Math.round((smallest + resident.budgets[tier]!.total) / 2);
  return [await plan(smallest), await plan(middle), resident];
}

describe.each(Object.keys(golden))("%s", (name) => {
  it.each([
    ["ram", true],
    ["ram", false],
    ["vram", true],
  ] as const)(
    "generates the tokens of Transformers at every budget of %s (adapter: %s)",
    async (tier, adapted) => {
      const parity = await readCase(name);
      const plans = await plansOf(parity, tier, adapted);
      for (const [index, plan] of plans.entries()) {
        await withSession(parity, plan, async (session) => {
          const continuations = golden[name]![adapted ? "adapter" : "base"];
          for (const [which, { prompt, tokens }] of continuations.entries()) {
            session.rewind(0);
            const given = index === 0 || which === 0 ? 0 : tokens.length - LAST;
            const rest = tokens.slice(given);
            expect(await greedy(session, [...prompt, ...tokens.slice(0, given)], rest.length)).toEqual(rest);
          }
        });
      }
      // They differ in what moves, or the test proves little.
      const moved = plans.map(({ bounds }) =>
        bounds.reduce((sum, bound) => sum + (bound.program === "decode" ? bound.moved : 0), 0),
      );
      expect(moved[0]).toBeGreaterThan(moved.at(-1)!);
    },
  );
});

it("gives the same bits at every budget, in runs of any length, and after going back", async () => {
  const parity = await readCase("gqa_head_dim");
  const bits = new Set<string>();
  const chunks = new Set<number>();
  for (const tier of ["ram", "vram"] as const) {
    for (const plan of await plansOf(parity, tier, true)) {
      chunks.add(plan.generation.chunk);
      await withSession(parity, plan, async (session) => {
        const note = (logits: Float32Array) => bits.add(Buffer.from(logits.buffer).toString("hex"));
        note(await session.feed(TOKENS));
        session.rewind(40);
        note(await session.feed(TOKENS.slice(40)));
        session.rewind(69);
        note(await session.feed(TOKENS.slice(69)));
        session.rewind(0);
        for (const token of TOKENS.slice(0, 69)) await session.feed([token]);
        note(await session.feed(TOKENS.slice(69)));
      });
    }
  }
  expect(bits.size).toBe(1);
  expect(chunks.size).toBeGreaterThan(1);
});

it("closes while it computes, and then refuses", async () => {
  const parity = await readCase("base");
  const plan = await planFor(parity, { adapter: true, capacity: 256 });
  await withSession(parity, plan, async (session) => {
    const many = Array.from({ length: 250 }, (_, index) => TOKENS[index % TOKENS.length]!);
    const feeding = session.feed(many).catch((error: Error) => error);
    await session.close();
    expect(await feeding).toBeInstanceOf(Error);
    await expect(session.feed([1])).rejects.toThrow(/run.engine/);
  });
});

it("refuses what does not fit behind the context, before it computes", async () => {
  const parity = await readCase("base");
  const plan = await planFor(parity, { adapter: true, capacity: 16 });
  await withSession(parity, plan, async (session) => {
    await session.feed(TOKENS.slice(0, 10));
    await expect(session.feed(TOKENS.slice(0, 7))).rejects.toThrow(
      /generation.context-full: 7 tokens do not fit behind 10 in a context of 16/,
    );
    expect(session.length).toBe(10);
    expect(await session.feed(TOKENS.slice(10, 16))).toHaveLength(session.vocabulary);
    expect([session.length, session.capacity]).toEqual([16, 16]);
  });
});
