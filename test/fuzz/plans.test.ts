/**
 * Random models, batches and budgets through the compiler: what compiles also verifies, fits the budget of every tier,
 * and says how far each link is from its bound.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { LLAMA_LINEARS } from "../../models/llama.ts";
import { compile, compileGeneration } from "../../planner/compile.ts";
import { smallestGenerationMemory, smallestMemory } from "../../planner/smallest-memory.ts";
import type { Inputs } from "../../schemas/inputs.ts";
import { type ToyOptions, toyGenerationInputs, toyInputs } from "../planner/toy.ts";

const toy = fc
  .record({
    layers: fc.integer({ min: 1, max: 7 }),
    hidden: fc.constantFrom(8, 24, 40, 64),
    vocabulary: fc.integer({ min: 5, max: 400 }),
    batch: fc.constantFrom(1, 2, 3, 4, 6),
    length: fc.integer({ min: 1, max: 40 }),
    precision: fc.constantFrom("f32" as const, "bf16" as const, "fp16" as const),
    tied: fc.boolean(),
    targets: fc.subarray([...LLAMA_LINEARS], { minLength: 1 }),
  })
  .chain((options) => {
    const divisors = [1, 2, 3, 6].filter((size) => options.batch % size === 0);
    const microBatch = fc.constantFrom(undefined, ...divisors);
    return microBatch.map(
      (size): ToyOptions => (size === undefined ? options : { ...options, microBatch: size }),
    );
  });

const factor = fc.double({ min: 1, max: 2.5, noNaN: true });

/** Inputs with this much of each tier's least memory; the least of vram is taken beside plenty of ram. */
function tightened(options: ToyOptions, gpu: boolean, ofCompute: number, ofRam: number): Inputs {
  const least = (given: ToyOptions, tier: "ram" | "vram") => smallestMemory(toyInputs(given))[tier]!.total;
  if (!gpu) return toyInputs({ ...options, ram: Math.ceil(ofCompute * least(options, "ram")) });
  const vram = Math.ceil(ofCompute * least({ ...options, vram: 2 ** 34 }, "vram"));
  return toyInputs({ ...options, vram, ram: Math.ceil(ofRam * least({ ...options, vram }, "ram")) });
}

it("compiles plans that verify at random budgets, with two and three tiers", () => {
  fc.assert(
    fc.property(toy, fc.boolean(), factor, factor, (options, gpu, ofCompute, ofRam) => {
      const { plan, diagnostics } = compile(tightened(options, gpu, ofCompute, ofRam));
      expect(diagnostics.map(({ code, summary }) => `${code}: ${summary}`)).toEqual([]);
      const { budgets, bounds } = plan!;
      for (const tier of [budgets.ram, budgets.vram]) {
        if (tier !== null) expect(tier.arena + tier.reserve).toBeLessThanOrEqual(tier.budget);
      }
      const links = bounds.filter(({ program }) => program === "train-step");
      expect(links.map(({ link }) => link)).toEqual(gpu ? ["disk", "h2d", "d2h"] : ["disk"]);
      for (const { moved, bound, gap_ppm } of bounds) {
        expect(gap_ppm).toBe(Math.floor(((moved - bound) * 1e6) / Math.max(1, bound)));
      }
    }),
    { seed: 20261124, numRuns: 25 },
  );
}, 300_000);

it("compiles plans to generate that verify at random budgets, with two and three tiers", () => {
  const context = fc.constantFrom(1, 5, 24, 70, 300);
  fc.assert(
    fc.property(toy, context, fc.constantFrom("ram", "vram"), factor, (options, length, tier, ofLeast) => {
      const given = { ...options, length, batch: 1, microBatch: 1 };
      const least = smallestGenerationMemory(toyGenerationInputs({ ...given, [tier]: 2 ** 34 }))[tier]!.total;
      const budget = Math.ceil(ofLeast * least);
      const { plan, diagnostics } = compileGeneration(toyGenerationInputs({ ...given, [tier]: budget }));
      expect(diagnostics.map(({ code, summary }) => `${code}: ${summary}`)).toEqual([]);
      const { budgets, generation } = plan!;
      expect(budgets[tier]!.total).toBeLessThanOrEqual(budget);
      expect(generation.capacity).toBe(length);
      expect(generation.chunk).toBeLessThanOrEqual(length);
      const short = compileGeneration(toyGenerationInputs({ ...given, [tier]: least - 1 }));
      expect(short.diagnostics.map(({ code }) => code)).toEqual(["plan.does-not-fit"]);
    }),
    { seed: 20261125, numRuns: 25 },
  );
}, 300_000);
