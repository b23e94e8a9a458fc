import { describe, expect, it } from "vitest";
import { checkExecutable, checkFreeMemory, checkFreeVram } from "../../runtime/preflight.ts";
import { codesOf, diagnosticsOf, toyPlan } from "./helpers.ts";

const MIB = 2 ** 20;
const budget = { budget: 100 * MIB, reserve: 40 * MIB, arena: 50 * MIB, total: 90 * MIB, max_live: 50 * MIB };

describe("checkExecutable", () => {
  it("accepts a plan of this version", () => {
    expect(() => checkExecutable(toyPlan(), "cpu")).not.toThrow();
  });

  it("refuses a dry run's plan", async () => {
    const plan = { ...toyPlan(), executable: false };
    expect(await codesOf(() => checkExecutable(plan, "cpu"))).toEqual(["plan.not-executable"]);
  });

  it("refuses another op table, naming both", async () => {
    const plan = { ...toyPlan(), op_table: `sha256:${"a".repeat(64)}` };
    const [problem] = await diagnosticsOf(() => checkExecutable(plan, "cpu"));
    expect(problem).toMatchObject({
      code: "plan.op-table",
      detail: expect.stringMatching(/a{64}\nactual {3}op table sha256:/),
    });
  });
});

describe("checkFreeMemory", () => {
  const ram = { ram: budget, vram: null };

  it("counts what the process holds already towards the reserve, and no further", async () => {
    expect(() => checkFreeMemory({ budgets: ram }, "cpu", 90 * MIB, 0)).not.toThrow();
    expect(() => checkFreeMemory({ budgets: ram }, "cpu", 50 * MIB, 70 * MIB)).not.toThrow();
    const [problem] = await diagnosticsOf(() => checkFreeMemory({ budgets: ram }, "cpu", 49 * MIB, 70 * MIB));
    expect(problem).toMatchObject({
      code: "plan.free-memory",
      hint: expect.stringContaining('memory.ram="89 MiB"'),
    });
  });

  it("finds an emulated vram arena in ram", async () => {
    const budgets = { ram: budget, vram: budget };
    expect(() => checkFreeMemory({ budgets }, "cuda", 90 * MIB, 0)).not.toThrow();
    expect(await codesOf(() => checkFreeMemory({ budgets }, "cpu", 90 * MIB, 0))).toEqual([
      "plan.free-memory",
    ]);
  });

  it("compares the vram arena with what is free on the device", async () => {
    const budgets = { ram: budget, vram: budget };
    expect(() => checkFreeVram({ budgets }, 50 * MIB)).not.toThrow();
    expect(() => checkFreeVram({ budgets: ram }, 0)).not.toThrow();
    const [problem] = await diagnosticsOf(() => checkFreeVram({ budgets }, 49 * MIB));
    expect(problem).toMatchObject({
      code: "plan.free-memory",
      summary: "the plan needs 50.0 MiB of vram, and 49.0 MiB are free on the device",
      hint: expect.stringContaining('memory.vram="89 MiB"'),
    });
  });

  it("asks nothing where the system does not tell", () => {
    expect(() => checkFreeMemory({ budgets: ram }, "cpu", null, null)).not.toThrow();
  });
});
