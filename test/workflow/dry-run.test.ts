/** A dry run's inputs: from a known shape's id alone, in a directory that holds nothing. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { knownShape, knownShapeIds } from "../../models/known-shapes.ts";
import type { DiagnosticError } from "../../schemas/diagnostic.ts";
import { parseHardware } from "../../schemas/hardware.ts";
import { readInputs } from "../../workflow/read-inputs.ts";
import { recipeWith } from "../schemas/recipe-fixtures.ts";

const machine = "recipes/hardware/t4.yaml";
const hardware = parseHardware(readFileSync(machine, "utf8"), { file: machine }).profile!;

const dryRun = (...overrides: string[]) =>
  readInputs({
    recipe: recipeWith("memory.vram=8 GiB", ...overrides),
    hardware,
    lemaVersion: "0.0.0",
    cwd: "/nowhere",
    cacheDirectory: null,
    dryRun: true,
  });

const problemsOf = (...overrides: string[]) =>
  dryRun(...overrides).then(
    ({ diagnostics }) => diagnostics,
    (error: DiagnosticError) => error.diagnostics,
  );

describe("a known shape", () => {
  const shapes = [...new Set(knownShapeIds().map((id) => knownShape(id)!.id))];

  it.each(shapes)("%s describes every block and weight, not to be executed", async (id) => {
    const { inputs, dataset, diagnostics } = await dryRun(`model=${id}`);
    const { config, tensors } = knownShape(id)!;
    expect(diagnostics).toEqual([]);
    expect(dataset).toBeNull();
    expect(inputs).toMatchObject({ executable: false, tokenizer: null });
    expect(inputs.model.blocks).toHaveLength(config.num_hidden_layers as number);
    expect(new Set(inputs.model.tensors.map(({ name }) => name))).toEqual(new Set(tensors.keys()));
    expect(inputs.model.tensors.every(({ digest }) => digest === null)).toBe(true);
  });

  it("takes sequences as long as a sliding window, and no longer", async () => {
    const mistral = "model=mistralai/Mistral-7B-v0.1";
    expect(await problemsOf(mistral, "sequence.length=4096")).toEqual([]);
    expect(await problemsOf(mistral, "sequence.length=4097")).toMatchObject([
      {
        code: "model.sequence-too-long",
        severity: "error",
        where: { file: "recipe", path: "sequence.length" },
        hint: "set sequence.length to at most 4096",
      },
    ]);
    expect(await problemsOf("model=mistralai/Mistral-7B-v0.3", "sequence.length=8192")).toEqual([]);
  });
});
