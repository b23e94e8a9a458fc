/**
 * No mutant survives: every mutator at every site it fits (thinned evenly where there are many), each rejected with
 * one of its named codes, or proved equivalent and then accepted.
 */
import { describe, expect, it } from "vitest";
import { verify } from "../../../schemas/verify/index.ts";
import { mutate, type Site } from "./mutator.ts";
import { mutators } from "./mutators.ts";
import { allUnorderedPairs, redeclare } from "./naive.ts";
import { tightPlan } from "./plans.ts";

/** Sites of one mutator that are tried on one plan. */
const sitesTried = 4;

function thinned(sites: readonly Site[]): Site[] {
  const stride = Math.max(1, sites.length / sitesTried);
  return Array.from({ length: Math.min(sites.length, sitesTried) }, (_, i) => sites[Math.floor(i * stride)]!);
}

const plans = [
  { tiers: "two tiers", plan: tightPlan("ram") },
  { tiers: "three tiers", plan: tightPlan("vram") },
];

describe.each(plans)("a plan over $tiers", ({ plan }) => {
  it("verifies", () => {
    expect(verify(plan)).toEqual([]);
  });

  it("declares what an independent reading of its calls finds", () => {
    const again = structuredClone(plan);
    redeclare(again);
    expect(again).toEqual(plan);
    expect(allUnorderedPairs(plan)).toEqual([]);
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

it("tries every mutator, and hundreds of mutants", () => {
  const counts = mutators.map(({ name, sites }) => ({
    name,
    tried: plans.reduce((sum, { plan }) => sum + thinned(sites(plan)).length, 0),
  }));
  expect(counts.filter(({ tried }) => tried === 0)).toEqual([]);
  expect(counts.reduce((sum, { tried }) => sum + tried, 0)).toBeGreaterThan(500);
});
