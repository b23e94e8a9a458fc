/** Plans to generate, taken apart: each mutant says truthfully what it has become, and is rejected all the same. */
import { beforeAll, describe, expect, it } from "vitest";
import { compileGeneration } from "../../../planner/compile.ts";
import { smallestGenerationMemory } from "../../../planner/smallest-memory.ts";
import type { GenerationPlan } from "../../../schemas/plan.ts";
import { verify } from "../../../schemas/verify/index.ts";
import { type ToyOptions, toyGenerationInputs } from "../../planner/toy.ts";
import { generationMutants, runs } from "./mutators/generation.ts";
import { allUnorderedPairs, redeclare } from "./naive.ts";

const small: ToyOptions = { layers: 3, hidden: 32, vocabulary: 96, length: 24, targets: ["q_proj"] };

function tightPlan(tier: "ram" | "vram"): GenerationPlan {
  const least = smallestGenerationMemory(toyGenerationInputs({ ...small, [tier]: 2 ** 30 }))[tier]!.total;
  const { plan, diagnostics } = compileGeneration(toyGenerationInputs({ ...small, [tier]: least }));
  expect(diagnostics).toEqual([]);
  return JSON.parse(JSON.stringify(plan)) as GenerationPlan;
}

describe.each(["ram", "vram"] as const)("a generation plan in the least %s", (tier) => {
  let plan: GenerationPlan;
  beforeAll(() => {
    plan = tightPlan(tier);
  });

  it("verifies, and streams", () => {
    expect(verify(plan)).toEqual([]);
    expect(allUnorderedPairs(plan)).toEqual([]);
    const moving = plan.programs.decode.steady.filter(
      (one) => one.kind === "read" || (one.kind === "copy" && one.unit !== null),
    );
    expect(moving.length).toBeGreaterThan(0);
    expect(runs(plan, /^head/).length).toBeGreaterThan(1);
  });

  it.each(generationMutants)("$name", ({ codes, apply }) => {
    const mutant = structuredClone(plan);
    apply(mutant);
    redeclare(mutant);
    const found = new Set(verify(mutant).map(({ code }) => code));
    expect([...found].filter((code) => (codes as readonly string[]).includes(code))).not.toEqual([]);
  });
});
