/** The library's face, used as somebody else would: no command line, no native module, no files but those named. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { compile, openPlan, parseHardware, parseRecipe, readInputs, simulate, verify } from "../index.ts";

it("goes from text to a proved and simulated plan", async () => {
  const file = "recipes/tinyllama-cpu.yaml";
  const { recipe, diagnostics } = parseRecipe(readFileSync(file, "utf8"), { file });
  expect(diagnostics).toEqual([]);
  const machine = "recipes/hardware/cpu-2core.yaml";
  const { profile } = parseHardware(readFileSync(machine, "utf8"), { file: machine });
  const { inputs } = await readInputs({
    recipe: recipe!,
    hardware: profile!,
    lemaVersion: "0.0.0",
    cwd: "/",
    cacheDirectory: null,
    dryRun: true,
  });
  const { plan, passes } = compile(inputs);
  expect(verify(plan)).toEqual([]);
  const { duration, lanes } = simulate(plan!);
  expect(duration).toBeGreaterThanOrEqual(Math.max(...lanes.map(({ busy }) => busy)));
  // No clock was given, so nothing was timed.
  expect(passes.every(({ milliseconds }) => milliseconds === 0)).toBe(true);
});

it("returns what is wrong with a text, and throws what is wrong with a file, with the same codes", async () => {
  const { recipe, diagnostics } = parseRecipe("lema: 2\n", { file: "r.yaml" });
  expect(recipe).toBeUndefined();
  expect(diagnostics.map(({ code }) => code)).toContain("recipe.invalid-value");
  await expect(openPlan("/absent/plan.json")).rejects.toMatchObject({
    diagnostics: [{ code: "cli.unreadable-file" }],
  });
});
