import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { MINIMAL } from "../schemas/recipe-fixtures.ts";
import { directoryWith, lema } from "./run-in-process.ts";

const BROKEN = MINIMAL.replace("output: runs/a", "outptu: runs/a");
const cwd = directoryWith({
  "good.yaml": MINIMAL,
  "broken.yaml": BROKEN,
  "large.yaml": MINIMAL.replace("1 GiB", "1000 GiB"),
  "unknown-machine.yaml": `${MINIMAL}hardware: p1000\n`,
  "own-machine.yaml": `${MINIMAL}hardware: ./machine.yaml\n`,
  "machine.yaml": "name: here\n",
});
const validate = (...argv: string[]) => lema(["validate", ...argv], { cwd });

it("accepts every shipped recipe", async () => {
  const files = readdirSync("recipes").filter((name) => name.endsWith(".yaml"));
  expect(files).toContain("quickstart.yaml");
  const { exit, stdout, stderr } = await lema(["validate", ...files.map((name) => `recipes/${name}`)]);
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
  expect(stdout.trim().split("\n")).toEqual(files.map((name) => `recipes/${name}: ok`));
});

it("prints all problems of all recipes, with frames, and counts them", async () => {
  const { exit, stdout } = await validate("broken.yaml", "good.yaml", "absent.yaml");
  expect(exit).toBe(1);
  expect(stdout).toContain("5 │ outptu: runs/a\n  │ ^^^^^^\n  hint: did you mean `output`?");
  expect(stdout).toContain("[recipe.missing-key]");
  expect(stdout).toContain("cannot read absent.yaml: it does not exist [cli.unreadable-file]");
  expect(stdout).toContain("good.yaml: ok\n");
  expect(stdout).toMatch(/\n3 errors in 3 recipes\n$/);
});

it("applies --set to each recipe", async () => {
  expect((await validate("good.yaml", "--set", "memory.ram=2 GiB", "--set", "training.seed=1")).exit).toBe(0);
  const { exit, stdout } = await validate("good.yaml", "--set", "memory.ram=lots");
  expect(exit).toBe(1);
  expect(stdout).toContain("at --set memory.ram=lots (memory.ram)");
});

it("warns without failing", async () => {
  const { exit, stdout } = await validate("large.yaml");
  expect(exit).toBe(0);
  expect(stdout).toContain("[hardware.beyond-memory]");
  expect(stdout).toContain("large.yaml: ok");
});

describe("the machine", () => {
  it("must exist by name, and the shipped ones are listed", async () => {
    const { exit, stdout } = await validate("unknown-machine.yaml");
    expect(exit).toBe(1);
    expect(stdout).toContain("[hardware.not-found]");
    expect(stdout).toContain("shipped are cpu-2core, cpu-emulated-gpu, h200");
  });

  it("is looked for in a recipe with other problems too, which are all said at once", async () => {
    const { exit, stdout } = await validate("unknown-machine.yaml", "--set", "memory.ram=lots");
    expect(exit).toBe(1);
    expect(stdout).toContain("[recipe.invalid-value]");
    expect(stdout).toContain("there is no hardware profile `p1000` [hardware.not-found]");
    expect(stdout).toMatch(/\n2 errors in 1 recipe\n$/);
  });

  it("is complained about once where it is no name at all", async () => {
    const { stdout } = await validate("good.yaml", "--set", 'hardware=""');
    expect(stdout).toContain("[recipe.invalid-value]");
    expect(stdout).toMatch(/\n1 error in 1 recipe\n$/);
  });

  it("may be a file, whose problems are reported in it", async () => {
    const { exit, stdout } = await validate("own-machine.yaml");
    expect(exit).toBe(1);
    expect(stdout).toContain("[hardware.invalid-profile]");
    expect(stdout).toContain("machine.yaml:1:1");
  });
});

describe("--format", () => {
  it("json, sarif and github print nothing else", async () => {
    const json = JSON.parse((await validate("broken.yaml", "--format", "json")).stdout);
    expect(json).toMatchObject({ errors: 2, warnings: 0 });
    const sarif = JSON.parse((await validate("broken.yaml", "--format=sarif")).stdout);
    expect(sarif.runs[0].results).toHaveLength(2);
    const github = await validate("broken.yaml", "good.yaml", "--format", "github");
    expect(github.exit).toBe(1);
    expect(github.stdout).toMatch(/^(::error file=broken\.yaml,line=\d+,col=\d+,.*\n){2}$/);
  });

  it("refuses another one", async () => {
    const { exit, stderr } = await validate("good.yaml", "--format", "xml");
    expect(exit).toBe(1);
    expect(stderr).toContain("Allowed choices are human, json, sarif, github");
  });
});
