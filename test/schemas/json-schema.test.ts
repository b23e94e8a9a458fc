/** The published JSON Schemas say the same as lema itself: what they accept and refuse, through ajv. */
import { readdirSync, readFileSync } from "node:fs";
import { Ajv } from "ajv";
import formats from "ajv-formats";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { hardwareSchema } from "../../schemas/hardware.ts";
import { listKeys } from "../../schemas/key-reference.ts";
import { parseRecipe, recipeSchema } from "../../schemas/recipe.ts";
import { runSchema } from "../../schemas/run.ts";
import { MINIMAL } from "./recipe-fixtures.ts";

const ajv = new Ajv({ allErrors: true, strict: true });
formats.default(ajv);
const published = (name: string) =>
  ajv.compile(JSON.parse(readFileSync(`schemas/generated/${name}.schema.json`, "utf8")));
const validators = { recipe: published("recipe"), hardware: published("hardware"), run: published("run") };

const yamlFiles = (directory: string) =>
  readdirSync(directory)
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => `${directory}/${name}`);

it.each(yamlFiles("recipes"))("%s is accepted", (file) => {
  const text = readFileSync(file, "utf8");
  validators.recipe(parse(text));
  expect(validators.recipe.errors).toBeNull();
  expect(parseRecipe(text, { file }).diagnostics).toEqual([]);
});

it.each(yamlFiles("recipes/hardware"))("%s is accepted", (file) => {
  validators.hardware(parse(readFileSync(file, "utf8")));
  expect(validators.hardware.errors).toBeNull();
});

describe("one change to a valid recipe", () => {
  const cases: [text: string, accepted: boolean][] = [
    ["training: {optimizer: adamw}", true],
    ["training: {optimizer: {eps: 1.0e-6}}", true],
    ["training: {schedule: linear, max_grad_norm: none, micro_batch: auto}", true],
    ["training: {schedule: {type: cosine, warmup: 3%}}", true],
    ["checkpoint: {every: 500 steps}", true],
    ["checkpoint: {every: never}", true],
    ["adapter: {targets: [q_proj], dropout: 0}", true],
    ["training: {optimizer: sgd}", false],
    ["training: {schedule: {warmup: 3%}}", false],
    ["training: {batch_size: 0}", false],
    ["training: {learning_rate: fast}", false],
    ["adapter: {targets: []}", false],
    ["adapter: {dropout: 0.1}", false],
    ["checkpoint: {every: 5 epochs}", false],
    ["sequence: {packing: yes}", false],
    ["lora_r: 16", false],
  ];

  it.each(cases)("%s: accepted = %s, by both", (text, accepted) => {
    const recipe = `${MINIMAL}${text}\n`;
    expect(validators.recipe(parse(recipe))).toBe(accepted);
    expect(parseRecipe(recipe, { file: "r" }).diagnostics.length === 0).toBe(accepted);
  });
});

it.each([
  ["recipe", recipeSchema],
  ["hardware", hardwareSchema],
  ["run", runSchema],
] as const)("every key of %s is described", (_, schema) => {
  const keys = listKeys(schema);
  expect(keys.length).toBeGreaterThan(10);
  expect(keys.filter(({ description }) => description === "").map(({ path }) => path)).toEqual([]);
});
