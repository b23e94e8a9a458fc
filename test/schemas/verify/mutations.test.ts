/**
 * No mutant survives: every mutator at every site it fits (thinned evenly where there are many), each rejected with
 * one of its named codes, or proved equivalent and then accepted.
 */
import { beforeAll, describe, expect, it } from "vitest";
import type { Plan } from "../../../schemas/plan.ts";
import { verify } from "../../../schemas/verify/index.ts";
import { mutate, type Site } from "./mutator.ts";
import { mutators } from "./mutators.ts";
import { allUnorderedPairs, redeclare, weightsInPlace } from "./naive.ts";
import { mixedPlan, shownByMixedPlan, tightPlan } from "./plans.ts";

/** Sites of one mutator that are tried on one plan. */
const sitesTried = 3;

function thinned(sites: readonly Site[]): Site[] {
  const stride = Math.max(1, sites.length / sitesTried);
  return Array.from({ length: Math.min(sites.length, sitesTried) }, (_, i) => sites[Math.floor(i * stride)]!);
}

describe.each([
  { name: "over two tiers", make: () => tightPlan("ram") },
  { name: "over three tiers", make: () => tightPlan("vram") },
  { name: "with all ways to save memory at once", make: mixedPlan },
])("a plan $name", ({ make }) => {
  let plan: Plan;
  beforeAll(() => {
    plan = make();
  });

  it("verifies", () => {
    expect(verify(plan)).toEqual([]);
  });

  it("declares what an independent reading of its calls finds", () => {
    const again = structuredClone(plan);
    redeclare(again);
    expect(again).toEqual(plan);
    expect(allUnorderedPairs(plan)).toEqual([]);
    expect(weightsInPlace(plan)).toBe(true);
  });

  it.each(mutators)("$name", (mutator) => {
    for (const site of thinned(mutator.sites(plan))) {
      const mutant = mutate(plan, mutator, site);
      const found = new Set(verify(mutant).map(({ code }) => code));
      if (mutator.equivalent?.(mutant, plan)) expect([...found], `equivalent: ${site.at}`).toEqual([]);
      else
        expect(
          mutator.codes.some((code) => found.has(code)),
          `${site.at}: ${[...found]}`,
        ).toBe(true);
    }
  });
});

it("takes apart a plan that does everything at once", () => {
  const { programs, buffers } = mixedPlan();
  const ids = [...programs["train-step"].steady, ...buffers].map(({ id }) => id);
  expect(shownByMixedPlan.filter((shown) => !ids.some((id) => shown.test(id)))).toEqual([]);
});

it("tries every mutator, and hundreds of mutants", () => {
  const plans = [tightPlan("ram"), tightPlan("vram"), mixedPlan()];
  const tried = mutators.map(({ name, sites }) => {
    return { name, sites: plans.reduce((sum, plan) => sum + thinned(sites(plan)).length, 0) };
  });
  expect(tried.filter(({ sites }) => sites === 0)).toEqual([]);
  expect(tried.reduce((sum, { sites }) => sum + sites, 0)).toBeGreaterThan(500);
});
