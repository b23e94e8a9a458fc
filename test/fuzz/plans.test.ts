/** Random models, batches and budgets through the compiler: what compiles also verifies, and fits its budget. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { LLAMA_LINEARS } from "../../models/llama.ts";
import { compile } from "../../planner/compile.ts";
import { smallestMemory } from "../../planner/smallest-memory.ts";
import { type ToyOptions, toyInputs } from "../planner/toy.ts";

const toy = fc.record({
  layers: fc.integer({ min: 1, max: 7 }),
  hidden: fc.constantFrom(8, 24, 40, 64),
  vocabulary: fc.integer({ min: 5, max: 400 }),
  batch: fc.constantFrom(1, 2, 3, 4, 6),
  length: fc.integer({ min: 1, max: 40 }),
  precision: fc.constantFrom("f32" as const, "bf16" as const, "fp16" as const),
  tied: fc.boolean(),
  targets: fc.subarray([...LLAMA_LINEARS], { minLength: 1 }),
});

it("compiles plans that verify at random budgets, with two and three tiers", () => {
  fc.assert(
    fc.property(toy, fc.boolean(), fc.double({ min: 1, max: 2.5, noNaN: true }), (options, gpu, factor) => {
      const at = (bytes: number): ToyOptions =>
        gpu ? { ...options, vram: bytes } : { ...options, ram: bytes };
      const smallest = smallestMemory(toyInputs(at(2 ** 34)))[gpu ? "vram" : "ram"]!.total;
      const budget = Math.ceil(smallest * factor);
      const { plan, diagnostics } = compile(toyInputs(at(budget)));
      expect(diagnostics.map(({ code, summary }) => `${code}: ${summary}`)).toEqual([]);
      expect(plan!.budgets[gpu ? "vram" : "ram"]!.total).toBeLessThanOrEqual(budget);
    }),
    { seed: 20261124, numRuns: 60 },
  );
});
