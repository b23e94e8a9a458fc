import { describe, expect, it } from "vitest";
import { parseRecipe, resolvedRecipeSchema } from "../../schemas/recipe.ts";
import { MINIMAL, parseWith, recipeWith } from "./recipe-fixtures.ts";

describe("a minimal recipe", () => {
  it("resolves with every default explicit", () => {
    expect(recipeWith()).toEqual({
      lema: 1,
      model: "./model",
      dataset: {
        path: "data.jsonl",
        format: "chat",
        template: "tokenizer",
        train_on: "assistant",
        validation: { rows: 0 },
        shuffle: true,
        unsupervised_rows: "error",
      },
      sequence: { length: 512, packing: true, truncation: "error" },
      adapter: { type: "lora", from: null, rank: 16, alpha: 32, targets: "all-linear", rslora: false },
      training: {
        duration: { epochs: 1 },
        batch_size: 8,
        micro_batch: "auto",
        optimizer: { type: "adamw", weight_decay: 0, betas: [0.9, 0.999], eps: 1e-8 },
        learning_rate: 1e-4,
        schedule: { type: "cosine", warmup: { steps: 0 } },
        max_grad_norm: 1,
        precision: "f32",
        seed: 42,
      },
      memory: { ram: 2 ** 30, vram: null, reserve: { ram: null, vram: null } },
      hardware: "auto",
      checkpoint: { every: 500, keep: 2 },
      output: "runs/a",
    });
  });

  it("matches the schema of resolved recipes, through JSON and back", () => {
    const recipe = recipeWith("adapter.targets=[q_proj, v_proj]", "memory.vram=2 GiB");
    expect(resolvedRecipeSchema.parse(JSON.parse(JSON.stringify(recipe)))).toEqual(recipe);
  });
});

describe("notations", () => {
  it.each([
    ["7 GiB", 7 * 2 ** 30],
    ["6.36 GB", 6_360_000_000],
    ["2.01 GB", 2_010_000_000],
    ["350MiB", 350 * 2 ** 20],
    ["1.5 gib", 1.5 * 2 ** 30],
    ["1073741824", 2 ** 30],
    ["512 kB", 512_000],
  ])("reads the size %s", (text, bytes) => {
    expect(recipeWith(`memory.ram=${text}`).memory.ram).toBe(bytes);
  });

  it.each(["lots", "0", "-1 GiB", "1 GiBs", "1 iB", "1.5", "9007199254740993", "[1]", "1 EiB"])(
    "refuses the size %s",
    (text) => {
      const [problem] = parseWith(`memory.ram=${text}`).diagnostics;
      expect(problem).toMatchObject({ code: "recipe.invalid-value", where: { path: "memory.ram" } });
      expect(problem!.summary).toContain("expected a size such as `7 GiB`");
    },
  );

  it.each([
    ["2%", { share: 0.02 }],
    ["0.25", { share: 0.25 }],
    ["12.5 %", { share: 0.125 }],
    ["200 rows", { rows: 200 }],
    ["1 row", { rows: 1 }],
    ["64", { rows: 64 }],
    ["0", { rows: 0 }],
  ])("reads validation %s", (text, validation) => {
    expect(recipeWith(`dataset.validation=${text}`).dataset.validation).toEqual(validation);
  });

  it.each(["100%", "1.5", "-3", "5 steps", "half"])("refuses validation %s", (text) => {
    expect(parseWith(`dataset.validation=${text}`).diagnostics[0]?.summary).toContain(
      "expected a share of the rows",
    );
  });

  it.each([
    ["cosine", { type: "cosine", warmup: { steps: 0 } }],
    ["{type: linear, warmup: 3%}", { type: "linear", warmup: { share: 0.03 } }],
    ["{type: constant, warmup: 100 steps}", { type: "constant", warmup: { steps: 100 } }],
  ])("reads the schedule %s", (text, schedule) => {
    expect(recipeWith(`training.schedule=${text}`).training.schedule).toEqual(schedule);
  });

  it.each([
    ["500 steps", 500],
    ["1 step", 1],
    ["20", 20],
    ["never", null],
  ])("reads checkpoint.every %s", (text, every) => {
    expect(recipeWith(`checkpoint.every=${text}`).checkpoint.every).toBe(every);
  });

  it.each(["0 steps", "1 epoch", "1.5"])("refuses checkpoint.every %s", (text) => {
    expect(parseWith(`checkpoint.every=${text}`).recipe).toBeUndefined();
  });

  it("reads numbers as YAML 1.2 writes them", () => {
    expect(recipeWith("training.learning_rate=1e-4").training.learning_rate).toBe(1e-4);
    expect(recipeWith("training.optimizer={eps: 1.0e-8}").training.optimizer.eps).toBe(1e-8);
  });

  it("explains a YAML 1.1 boolean", () => {
    expect(parseWith("sequence.packing=yes").diagnostics[0]).toMatchObject({
      code: "recipe.invalid-value",
      hint: "YAML 1.2 writes `true` and `false`",
    });
  });

  it("reads the switches that are words", () => {
    expect(recipeWith("training.max_grad_norm=none").training.max_grad_norm).toBeNull();
    expect(recipeWith("training.optimizer=adamw").training.optimizer.betas).toEqual([0.9, 0.999]);
    expect(recipeWith("adapter.rank=8").adapter).toMatchObject({ rank: 8, alpha: 16 });
    expect(recipeWith("adapter.from=old/adapter").adapter).toEqual({ type: "lora", from: "old/adapter" });
    expect(recipeWith("training.steps=7").training.duration).toEqual({ steps: 7 });
    expect(recipeWith("training.tokens_per_step=4096").training.batch_size).toBe(8);
    expect(recipeWith("dataset.format=text").dataset.train_on).toBe("all");
  });
});

describe("keys that contradict each other", () => {
  it.each([
    ["epochs and steps", ["training.epochs=1", "training.steps=5"], "training.steps"],
    [
      "both batch sizes",
      ["training.batch_size=1", "training.tokens_per_step=512"],
      "training.tokens_per_step",
    ],
    ["a micro-batch that does not divide", ["training.micro_batch=3"], "training.micro_batch"],
    [
      "a micro-batch that does not divide the tokens",
      ["training.tokens_per_step=2048", "training.micro_batch=3"],
      "training.micro_batch",
    ],
    [
      "more micro-batches than a plan can list",
      ["training.batch_size=4096", "training.micro_batch=2"],
      "training.micro_batch",
    ],
    ["tokens that fill no row", ["training.tokens_per_step=1000"], "training.tokens_per_step"],
    [
      "a warm-up beyond the run",
      ["training.steps=5", "training.schedule={type: cosine, warmup: 6 steps}"],
      "training.schedule",
    ],
    ["a rank beside from", ["adapter.from=x", "adapter.rank=8"], "adapter.from"],
    ["targets beside from", ["adapter.from=x", "adapter.targets=all-linear"], "adapter.from"],
    ["a module twice", ["adapter.targets=[q_proj, q_proj]"], "adapter.targets"],
    ["a template without roles", ["dataset.format=text", "dataset.template=x"], "dataset.template"],
    [
      "an assistant without roles",
      ["dataset.format=tokens", "dataset.train_on=assistant"],
      "dataset.train_on",
    ],
    ["a reserve as large as the budget", ["memory.reserve.ram=1 GiB"], "memory.reserve.ram"],
    ["a vram reserve without vram", ["memory.reserve.vram=1 MiB"], "memory.reserve.vram"],
  ])("refuses %s", (_, overrides, path) => {
    const { recipe, diagnostics } = parseWith(...overrides);
    expect(recipe).toBeUndefined();
    expect(diagnostics.map(({ code, where }) => [code, where?.path])).toEqual([["recipe.conflict", path]]);
  });

  it("is reported beside other mistakes of the same section", () => {
    const { diagnostics } = parseWith(
      "training.steps=5",
      "training.epochs=1",
      "training.seed=-1",
      "training.foo=1",
    );
    expect(diagnostics.map(({ code }) => code).sort()).toEqual([
      "recipe.conflict",
      "recipe.invalid-value",
      "recipe.unknown-key",
    ]);
  });

  it("is not reported for a value that is itself wrong", () => {
    const { diagnostics } = parseWith("training.micro_batch=many");
    expect(diagnostics.map(({ code }) => code)).toEqual(["recipe.invalid-value"]);
  });
});

it("says why LoRA dropout is refused", () => {
  const [problem] = parseWith("adapter.dropout=0.1").diagnostics;
  expect(problem).toMatchObject({ code: "recipe.invalid-value", where: { path: "adapter.dropout" } });
  expect(problem!.summary).toContain("expected 0: lema has no LoRA dropout");
  expect(recipeWith("adapter.dropout=0").adapter).not.toHaveProperty("dropout");
});

it("finds a key's place for later complaints", () => {
  const { placeOf } = parseRecipe(MINIMAL, { file: "r.yaml", overrides: ["memory.vram=1 GiB"] });
  expect(placeOf("memory.ram")).toEqual({ file: "r.yaml", line: 4, column: 15, path: "memory.ram" });
  expect(placeOf("memory.vram")).toEqual({ file: "--set memory.vram=1 GiB", path: "memory.vram" });
  expect(placeOf("training.precision")).toMatchObject({ line: 1, path: "training.precision" });
});
