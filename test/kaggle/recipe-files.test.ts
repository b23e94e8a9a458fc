/** Which files of a recipe go into a notebook, where they stand there, and how the others get there. */
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { loadRecipe } from "../../cli/load-recipe.ts";
import { recipeFiles } from "../../kaggle/recipe-files.ts";
import { DiagnosticError } from "../../schemas/diagnostic.ts";
import type { Recipe } from "../../schemas/recipe.ts";
import { directoryWith, lema } from "../cli/run-in-process.ts";
import { MINIMAL } from "../schemas/recipe-fixtures.ts";

const ROWS = '{"prompt": "1+1=", "completion": "2"}\n';
const recipeFile = (model: string, dataset: string): string =>
  MINIMAL.replace(/^model: .*$/m, `model: ${model}`).replace(/path: [^,}\s]+/, `path: ${dataset}`);

function project(model: string, dataset: string, files: Readonly<Record<string, string>> = {}) {
  const cwd = directoryWith({ "recipe.yaml": recipeFile(model, dataset), ...files });
  return { cwd, recipe: loadRecipe("recipe.yaml", [], { cwd, env: { HOME: cwd } }).recipe };
}

async function codeOf(recipe: Recipe, cwd: string): Promise<string> {
  const error = await recipeFiles(recipe, cwd).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(DiagnosticError);
  return (error as DiagnosticError).diagnostics[0]!.code;
}

it("data goes in at its own path, with the held-out questions beside it; a model of the Hub is pulled", async () => {
  const { cwd, recipe } = project("org/model", "data/rows.jsonl", {
    "data/rows.jsonl": ROWS,
    "data/rows.held-out.jsonl": ROWS,
  });
  const found = await recipeFiles(recipe, cwd);
  expect(found.files.map(({ path }) => path)).toEqual(["data/rows.jsonl", "data/rows.held-out.jsonl"]);
  expect(found).toMatchObject({
    modelFiles: [],
    overrides: [],
    builder: null,
    heldOut: "data/rows.held-out.jsonl",
    pull: { repo: "org/model", revision: "main", directory: "org/model" },
    model: "org/model",
  });
});

it("a path outside of the project gets a place inside, and the recipe is told", async () => {
  const { cwd: elsewhere } = project("org/model", "x.jsonl", { "rows.jsonl": ROWS });
  const { cwd, recipe } = project("org/model", join(elsewhere, "rows.jsonl"));
  const found = await recipeFiles(recipe, cwd);
  expect(found.files.map(({ path }) => path)).toEqual(["inputs/rows.jsonl"]);
  expect(found.overrides).toEqual(["dataset.path=inputs/rows.jsonl"]);
});

it("a tiny model goes in; a pulled one is pulled again at its commit", async () => {
  const { cwd, recipe } = project("models/tiny", "rows.jsonl", {
    "rows.jsonl": ROWS,
    "models/tiny/config.json": "{}",
    "models/tiny/model.safetensors": "weights",
  });
  const embedded = await recipeFiles(recipe, cwd);
  expect(embedded.modelFiles.map(({ path }) => path)).toEqual([
    "models/tiny/config.json",
    "models/tiny/model.safetensors",
  ]);
  expect(embedded).toMatchObject({ pull: null, model: "models/tiny" });

  const commit = "a".repeat(40);
  const record = { version: 1, repo: "org/tiny", revision: "main", commit, complete: true, files: {} };
  writeFileSync(join(cwd, "models/tiny/lema-pull.json"), JSON.stringify(record));
  expect(await recipeFiles(recipe, cwd)).toMatchObject({
    modelFiles: [],
    pull: { repo: "org/tiny", revision: commit, directory: "models/tiny" },
  });
});

it("refuses what is too large, missing, or no model", async () => {
  const { cwd, recipe } = project("models/large", "rows.jsonl", {
    "rows.jsonl": ROWS,
    "models/large/model.safetensors": "",
  });
  truncateSync(join(cwd, "models/large/model.safetensors"), 2 ** 21);
  expect(await codeOf(recipe, cwd)).toBe("kaggle.too-large");
  rmSync(join(cwd, "models/large"), { recursive: true });
  mkdirSync(join(cwd, "models"), { recursive: true });
  truncateSync(join(cwd, "rows.jsonl"), 2 ** 25);
  expect(await codeOf(recipe, cwd)).toBe("kaggle.too-large");
  rmSync(join(cwd, "rows.jsonl"));
  expect(await codeOf(recipe, cwd)).toBe("cli.unreadable-file");
  expect(await codeOf({ ...recipe, model: "what is this" }, cwd)).toBe("model.not-found");
});

it("what is attached to the notebook is left where it is", async () => {
  const { cwd, recipe } = project("/kaggle/input/llama/2", "/kaggle/input/rows/rows.jsonl");
  expect(await recipeFiles(recipe, cwd)).toEqual({
    files: [],
    modelFiles: [],
    model: "/kaggle/input/llama/2",
    overrides: [],
    pull: null,
    builder: null,
    heldOut: null,
  });
});

it("templates and adapters to go on from go in", async () => {
  const { cwd, recipe } = project("org/model", "rows.jsonl", {
    "rows.jsonl": ROWS,
    "templates/own.jinja": "{{ messages }}",
    "start/adapter_config.json": "{}",
    "start/adapter_model.safetensors": "w",
  });
  const found = await recipeFiles(
    {
      ...recipe,
      dataset: { ...recipe.dataset, template: "templates/own.jinja" },
      adapter: { type: "lora", from: "start" },
    },
    cwd,
  );
  expect(found.files.map(({ path }) => path)).toEqual([
    "rows.jsonl",
    "templates/own.jinja",
    "start/adapter_config.json",
    "start/adapter_model.safetensors",
  ]);
});

it("what `lema dataset build` wrote is built again, unless it was changed since", async () => {
  const { cwd, recipe } = project("org/model", "data/reply.jsonl");
  const built = await lema(
    [
      "dataset",
      "build",
      "-o",
      "data/reply.jsonl",
      "--seed",
      "7",
      "--examples",
      "30",
      "--conversations",
      "3",
      "--held-out",
      "4",
    ],
    { cwd },
  );
  expect(built.exit, built.stderr).toBe(0);
  const found = await recipeFiles(recipe, cwd);
  expect(found.files).toEqual([]);
  expect(found).toMatchObject({
    builder: { path: "data/reply.jsonl", seed: 7, examples: 30, conversations: 3, heldOut: 4 },
    heldOut: "data/reply.held-out.jsonl",
  });
  const path = join(cwd, "data/reply.jsonl");
  writeFileSync(path, readFileSync(path, "utf8").split("\n").slice(1).join("\n"));
  const changed = await recipeFiles(recipe, cwd);
  expect(changed.builder).toBeNull();
  expect(changed.files.map((file) => file.path)).toEqual(["data/reply.jsonl", "data/reply.held-out.jsonl"]);
});
