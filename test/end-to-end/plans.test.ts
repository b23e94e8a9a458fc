import { describe, expect, it } from "vitest";
import { compile } from "../../planner/compile.ts";
import { buildUnits } from "../../planner/ir/units.ts";
import { feasible } from "../../planner/passes/feasible.ts";
import { caseInputs, caseNames, readCase } from "./case.ts";

describe.each(caseNames())("plans of %s", (name) => {
  it("verify with two and three tiers, at the smallest budget, a middle one, and everything resident", async () => {
    const parity = await readCase(name);
    for (const vram of [undefined, 2 ** 32]) {
      const tiny = await caseInputs(parity, vram === undefined ? { ram: 4096 } : { vram: 4096 });
      const [problem] = feasible(tiny, buildUnits(tiny));
      const smallest = Number(/at least (\d+) bytes/.exec(problem!.summary)![1]);
      for (const bytes of [smallest, Math.ceil(smallest * 1.3), 2 ** 32]) {
        const inputs = await caseInputs(parity, vram === undefined ? { ram: bytes } : { vram: bytes });
        const { plan, diagnostics } = compile(inputs);
        expect(diagnostics.map(({ code, summary }) => `${code}: ${summary}`)).toEqual([]);
        expect(plan!.budgets[vram === undefined ? "ram" : "vram"]!.total).toBeLessThanOrEqual(bytes);
      }
    }
  });
});
