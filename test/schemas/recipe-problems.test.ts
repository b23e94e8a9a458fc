/** Where the problems of a recipe are reported, and what way out they name. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { listKeys } from "../../schemas/key-reference.ts";
import { stepScalars } from "../../schemas/plan.ts";
import { foreignNames } from "../../schemas/recipe/foreign-names.ts";
import { parseRecipe, recipeSchema } from "../../schemas/recipe.ts";
import { brief, MINIMAL, parseWith } from "./recipe-fixtures.ts";

const parse = (text: string) => parseRecipe(text, { file: "recipe.yaml" });
const hintOf = (override: string) => parseWith(override).diagnostics[0]?.hint;

it("reports all problems at once, top to bottom, each at its place", () => {
  const text = `lema: 2
modell: x
dataset:
  path: ""
  format: chatt
sequence: {length: 0, length: 0.5}
adapter:
  targets: [q_proj, 3]
training:
  optimizer: {eps: tiny, lr: 3}
memory:
`;
  expect(brief(parse(text).diagnostics)).toEqual([
    "1:1 recipe.missing-key model",
    "1:1 recipe.missing-key output",
    "1:7 recipe.invalid-value lema",
    "2:1 recipe.unknown-key modell",
    "4:9 recipe.invalid-value dataset.path",
    "5:11 recipe.invalid-value dataset.format",
    "6:23 recipe.duplicate-key",
    "6:31 recipe.invalid-value sequence.length",
    "8:21 recipe.invalid-value adapter.targets[1]",
    "10:20 recipe.invalid-value training.optimizer.eps",
    "10:26 recipe.unknown-key training.optimizer.lr",
    "11:1 recipe.invalid-value memory",
  ]);
});

it("refuses a learning rate of which the engine would refuse the first step", () => {
  const { range } = stepScalars.find(({ name }) => name === "step_size")!;
  const largest = range[1] * (1 - 0.9);
  expect(parseWith(`training.learning_rate=${0.99 * largest}`).diagnostics).toEqual([]);
  expect(brief(parseWith(`training.learning_rate=${1.01 * largest}`).diagnostics)).toEqual([
    expect.stringContaining("recipe.conflict training.learning_rate"),
  ]);
});

describe("syntax", () => {
  it.each([
    ["nested mappings on a line", "lema: 1\nmodel: a: b\n", "2:8 recipe.syntax"],
    ["a tab", "dataset:\n\tpath: x\n", "2:1 recipe.syntax"],
    ["a second document", "lema: 1\n---\nlema: 1\n", "2:1 recipe.syntax"],
    ["an open quote", 'model: "x\n', "2:1 recipe.syntax"],
    ["an alias without anchor", "model: *x\n", "recipe.yaml recipe.syntax"],
    ["a duplicate key", `${MINIMAL}output: b\n`, "6:1 recipe.duplicate-key"],
  ])("points at %s", (_, text, expected) => {
    const { recipe, diagnostics } = parse(text);
    expect(recipe).toBeUndefined();
    expect(brief(diagnostics)).toContain(expected);
  });

  it.each(["", "# nothing\n", "- 1\n", "text\n", "null\n"])("refuses the document %j", (text) => {
    expect(parse(text).diagnostics[0]).toMatchObject({ code: "recipe.invalid-value" });
  });

  it("refuses an alias bomb instead of expanding it", () => {
    const levels = Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(9)}]`);
    const { diagnostics } = parse(`a0: &a0 [x]\n${levels.join("\n")}\n`);
    expect(diagnostics.map(({ code }) => code)).toContain("recipe.syntax");
  });

  it("follows aliases to the place of a value", () => {
    const { diagnostics } = parse(`${MINIMAL}sequence: &s {length: 0}\n`);
    expect(brief(diagnostics)).toEqual(["6:23 recipe.invalid-value sequence.length"]);
  });

  it("reads a file with a byte-order mark and Windows line ends", () => {
    expect(parse(`\uFEFF${MINIMAL.replaceAll("\n", "\r\n")}`).diagnostics).toEqual([]);
  });
});

describe("unknown keys", () => {
  it.each([
    ["outptu=x", "did you mean `output`?"],
    ["training.batch_sise=1", "did you mean `batch_size`?"],
    ["training.optimizer={type: adamw, bettas: 1}", "did you mean `betas`?"],
    ["rank=16", "it belongs elsewhere: `adapter.rank`"],
    ["learning_ratio=1", "did you mean `training.learning_rate`?"],
    ["lora_r=16", "it is `adapter.rank` here"],
    ["micro_batch_size=1", "it is `training.micro_batch` here"],
    ["training.per_device_train_batch_size=1", "it is `training.micro_batch` here"],
    ["cutoff_len=512", "it is `sequence.length` here"],
    ["load_in_4bit=true", expect.stringContaining("lema streams it")],
    ["sequence.zzz=1", "known keys here: length, packing, truncation"],
  ])("suggests for %s", (override, hint) => {
    expect(parseWith(override).diagnostics[0]?.code).toBe("recipe.unknown-key");
    expect(hintOf(override)).toEqual(hint);
  });

  it("is not fooled by names of Object.prototype", () => {
    for (const key of ["__proto__", "constructor", "toString"]) {
      expect(brief(parse(`${MINIMAL}${key}: 1\n`).diagnostics)).toEqual([`6:1 recipe.unknown-key ${key}`]);
    }
  });

  it("knows only names that are not lema's, and targets that are", () => {
    const known = listKeys(recipeSchema).map(({ path }) => path);
    const ownNames = new Set(known.map((path) => path.slice(path.lastIndexOf(".") + 1)));
    for (const [name, meaning] of foreignNames) {
      expect(ownNames).not.toContain(name);
      // A meaning without a space is a key path, and must exist.
      if (!meaning.includes(" ")) expect(known).toContain(meaning);
    }
  });
});

it("shows a number in quotes as one", () => {
  expect(parse(MINIMAL.replace(/^lema: 1/, 'lema: "1"')).diagnostics).toMatchObject([
    { summary: expect.stringContaining('`lema` is `"1"`; expected') },
  ]);
});

it("suggests the nearest choice", () => {
  expect(hintOf("training.schedule=cosin")).toBe("did you mean `cosine`?");
  expect(hintOf("training.optimizer=adamv")).toBe("did you mean `adamw`?");
  expect(parseWith("training.schedule=3").diagnostics[0]?.summary).toBe(
    "`training.schedule` is `3`; expected `constant` or `linear` or `cosine`, or a section with keys",
  );
  expect(hintOf("dataset.format=sharegtp")).toBe("did you mean `sharegpt`?");
  expect(hintOf("dataset.format=csv")).toBeUndefined();
});

it("explains a missing key with its own description", () => {
  expect(parse("lema: 1\n").diagnostics.find(({ where }) => where?.path === "output")).toMatchObject({
    code: "recipe.missing-key",
    hint: "The run directory.",
  });
});

describe("--set", () => {
  it("names the assignment as the place of a bad value", () => {
    expect(parseWith("memory.ram=lots").diagnostics[0]?.where).toEqual({
      file: "--set memory.ram=lots",
      path: "memory.ram",
    });
  });

  it("makes sections that are absent and removes keys with an empty value", () => {
    expect(parseWith("memory.reserve.ram=1 MiB").recipe?.memory.reserve.ram).toBe(2 ** 20);
    expect(brief(parseWith("output=").diagnostics)).toEqual(["--set output= recipe.missing-key output"]);
    expect(
      parseWith("training.epochs=3", "training.epochs=", "training.steps=2").recipe?.training.duration,
    ).toEqual({
      steps: 2,
    });
  });

  it("takes the last of two assignments", () => {
    expect(parseWith("training.seed=1", "training.seed=2").recipe?.training.seed).toBe(2);
  });

  it.each(["memory.ram", "=1", "a..b=1", "model.x=1", "model=[", ".=1"])("refuses %s", (assignment) => {
    const { diagnostics } = parseWith(assignment);
    expect(brief(diagnostics)).toEqual([`--set ${assignment} recipe.bad-override`]);
    expect(diagnostics[0]?.hint).toContain("--set");
  });
});

describe("any text at all", () => {
  const fragment = fc.oneof(
    fc.constantFrom(
      ...MINIMAL.split("\n"),
      "  ",
      "\t",
      "- ",
      "{",
      "}",
      "[",
      "]",
      ": ",
      "&a ",
      "*a",
      "|",
      "%YAML 9.9",
      "---",
      "!!x ",
    ),
    fc.string({ maxLength: 8 }),
  );

  it("gives a recipe or errors, with places inside the text, and never throws", () => {
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 12 }), fc.constantFrom("\n", ""), (parts, separator) => {
        const text = parts.join(separator);
        const lines = text.split("\n");
        const { recipe, diagnostics } = parse(text);
        expect(recipe === undefined).toBe(diagnostics.some(({ severity }) => severity === "error"));
        for (const { where } of diagnostics) {
          if (where?.line === undefined) continue;
          expect(where.line).toBeLessThanOrEqual(lines.length);
          expect(where.column).toBeLessThanOrEqual(lines[where.line - 1]!.length + 1);
        }
      }),
      { numRuns: 500 },
    );
  });
});
