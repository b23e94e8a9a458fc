import { describe, expect, it } from "vitest";
import { compile } from "../../planner/compile.ts";
import { smallestMemory } from "../../planner/smallest-memory.ts";
import { caseInputs, caseNames, readCase } from "./case.ts";

describe.each(caseNames())("plans of %s", (name) => {
  it("verify with two and three tiers, at the smallest budget, a middle one, and everything resident", async () => {
    const parity = await readCase(name);
    for (const vram of [undefined, 2 ** 32]) {
      const plenty = await caseInputs(parity, vram === undefined ? {} : { vram });
      const smallest = smallestMemory(plenty)[vram === undefined ? "ram" : "vram"]!.total;
      for (const bytes of [smallest, Math.ceil(smallest * 1.3), 2 ** 32]) {
        const inputs = await caseInputs(parity, vram === undefined ? { ram: bytes } : { vram: bytes });
        const { plan, diagnostics } = compile(inputs);
        expect(diagnostics.map(({ code, summary }) => `${code}: ${summary}`)).toEqual([]);
        expect(plan!.budgets[vram === undefined ? "ram" : "vram"]!.total).toBeLessThanOrEqual(bytes);
      }
    }
  });
});
