/** What an editor shows of a recipe: the real yaml-language-server with the schema that the first line names. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { filesBelow } from "../meta/sources.ts";
import { type Editor, startEditor } from "./language-client.ts";

const RECIPE = "recipes/llama2-p100.yaml";
const text = readFileSync(RECIPE, "utf8");
const [modeline] = text.split("\n");

let editor: Editor;
beforeAll(async () => {
  editor = await startEditor();
});
afterAll(() => editor.close());

describe("diagnostics", () => {
  it("are none for what ships", async () => {
    const files = filesBelow("recipes", ".yaml");
    expect(files).toContain("recipes/hardware/t4.yaml");
    const found = await Promise.all(
      files.map((file) => editor.diagnostics(file, readFileSync(file, "utf8"))),
    );
    expect(found).toEqual(files.map(() => []));
  });

  it.each([
    ["an unknown key", "max_grad_norm:", "max_grad_nrom:", "Property max_grad_nrom is not allowed."],
    ["an unknown value", "precision: fp16", "precision: fp8", 'Valid values: "f32", "bf16", "fp16".'],
    ["no size", "vram: 14 GiB", "vram: lots", "String does not match the pattern"],
    ["no number", "rank: 16", "rank: many", 'Incorrect type. Expected "integer".'],
    ["a missing key", "model: NousResearch/Llama-2-7b-hf\n", "", 'Missing property "model".'],
  ])("name %s on its line", async (name, from, to, message) => {
    const found = await editor.diagnostics(RECIPE, text.replace(from, to));
    expect(found.map((problem) => problem.message)).toEqual([expect.stringContaining(message)]);
    // What is missing is missed where its section starts.
    const place = name === "a missing key" ? "lema: 1" : from;
    expect(found[0]!.range.start.line).toBe(text.slice(0, text.indexOf(place)).split("\n").length - 1);
  });

  it("know a key of a machine from one of a recipe", async () => {
    const machine = "recipes/hardware/t4.yaml";
    const [problem] = await editor.diagnostics(
      machine,
      readFileSync(machine, "utf8").replace("f16:", "fp16:"),
    );
    expect(problem!.message).toBe("Property fp16 is not allowed.");
  });
});

describe("completion", () => {
  const labels = async (recipe: string) =>
    (await editor.completions(RECIPE, `${modeline}\nlema: 1\n${recipe}`)).map(({ label }) => label);

  it("offers the keys that are still open, with what they mean", async () => {
    const items = await editor.completions(RECIPE, text.replace("  max_grad_norm: 1.0\n", "  |\n"));
    const found = new Map(items.map(({ label, documentation }) => [label, documentation]));
    expect(found.get("max_grad_norm")).toBe("Global-norm clipping threshold, or `none`.");
    expect(found.has("learning_rate")).toBe(false);
  });

  it("offers the sections of an empty recipe", async () => {
    expect(await labels("|\n")).toEqual(
      expect.arrayContaining(["model", "dataset", "sequence", "adapter", "training", "memory", "output"]),
    );
  });

  it("offers the choices of a key", async () => {
    expect(await labels("training:\n  precision: |\n")).toEqual(["f32", "bf16", "fp16"]);
    expect(await labels("training:\n  schedule: {type: |}\n")).toEqual(["constant", "linear", "cosine"]);
  });
});

describe("hover", () => {
  it.each([
    ["max_grad_norm", "Global-norm clipping threshold"],
    ["weight_decay", "Decoupled weight decay."],
    ["vram", "Total vram. Without it there are two tiers"],
  ])("explains %s", async (key, explanation) => {
    expect(await editor.hover(RECIPE, text.replace(key, `${key}|`))).toContain(explanation);
  });
});
