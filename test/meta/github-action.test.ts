/** The GitHub Action, without GitHub: its shell steps run here as the runner runs them, with stand-ins for its files. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { directoryWith } from "../cli/run-in-process.ts";
import { MINIMAL } from "../schemas/recipe-fixtures.ts";

interface Step {
  readonly name?: string;
  readonly uses?: string;
  readonly if?: string;
  readonly shell?: string;
  readonly run?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly with?: Readonly<Record<string, string>>;
  readonly "working-directory"?: string;
}

interface Action {
  readonly inputs: Readonly<Record<string, { readonly description: string; readonly default: string }>>;
  readonly runs: { readonly using: string; readonly steps: readonly Step[] };
}

const action = parse(readFileSync("action.yml", "utf8")) as Action;
const workflow = parse(readFileSync(".github/workflows/recipes.yml", "utf8")) as {
  readonly jobs: Readonly<Record<string, { readonly steps: readonly Step[] }>>;
};
const shellSteps = action.runs.steps.filter(({ run }) => run !== undefined);

const TINY = readFileSync("recipes/tinyllama-cpu.yaml", "utf8");
const workspace = () =>
  directoryWith({
    "recipes/fits.yaml": TINY,
    "recipes/tight.yaml": TINY.replace("ram: 1.5 GiB", "ram: 300 MiB"),
    "recipes/broken.yaml": MINIMAL.replace("output:", "outptu:"),
    "recipes/missing.yaml": MINIMAL.replace(/^model: .*$/m, "model: no/such-model"),
    "summary.md": "",
  });

/** Runs the step `name` in `cwd` as the runner does: `bash -eo pipefail` on a script that holds the text of `run`. */
function runStep(name: string, cwd: string, inputs: Readonly<Record<string, string>> = {}) {
  const step = shellSteps.find((one) => one.name === name)!;
  const values: Record<string, string> = { "github.action_path": resolve(".") };
  for (const [key, { default: preset }] of Object.entries(action.inputs))
    values[`inputs.${key}`] = inputs[key] ?? preset;
  const expand = (text: string) =>
    text.replace(/\$\{\{ *([\w.]+) *\}\}/g, (_, expression: string) => values[expression] ?? "UNKNOWN");
  const env = Object.fromEntries(Object.entries(step.env ?? {}).map(([key, text]) => [key, expand(text)]));
  const summary = join(cwd, "summary.md");
  const { status, stdout, stderr } = spawnSync(
    "bash",
    ["--noprofile", "--norc", "-eo", "pipefail", "-c", step.run!],
    {
      cwd,
      encoding: "utf8",
      env: { PATH: process.env.PATH, HOME: cwd, GITHUB_STEP_SUMMARY: summary, ...env },
    },
  );
  return { status, stdout, stderr, summary: readFileSync(summary, "utf8") };
}

it("is a composite action whose scripts contain no expression and whose steps name their shell", () => {
  expect(action.runs.using).toBe("composite");
  for (const { run, shell } of shellSteps) {
    expect(run).not.toContain("${{");
    expect(shell).toBe("bash");
  }
  const used = JSON.stringify(action.runs.steps);
  for (const name of Object.keys(action.inputs)) expect(used).toContain(`inputs.${name}`);
});

it("is used by the workflow, with inputs that it has", () => {
  const steps = Object.values(workflow.jobs).flatMap((job) => job.steps);
  const [own] = steps.filter(({ uses }) => uses === "./");
  expect(Object.keys(action.inputs)).toEqual(expect.arrayContaining(Object.keys(own!.with!)));
});

it("installs by the lock file and by a script that exists", () => {
  const { run } = shellSteps.find(({ name }) => name === "Install lema")!;
  const { scripts } = JSON.parse(readFileSync("package.json", "utf8"));
  for (const [, script] of run!.matchAll(/npm run (\S+)/g)) expect(Object.keys(scripts)).toContain(script);
  expect(run).toContain("npm ci ");
});

describe("Validate", () => {
  it("is silent about sound recipes", () => {
    expect(
      runStep("Validate", workspace(), { recipes: "recipes/fits.yaml recipes/tight.yaml" }),
    ).toMatchObject({
      status: 0,
      stdout: "",
      stderr: "",
    });
  });

  it("expands globs, annotates problems at their place, and fails", () => {
    const { status, stdout } = runStep("Validate", workspace());
    expect(status).toBe(1);
    expect(stdout).toContain("::error file=recipes/broken.yaml,line=5,col=1,title=recipe.unknown-key::");
    expect(stdout).not.toContain("recipes/fits.yaml");
  });

  it("writes SARIF where it is asked to, and annotates all the same", () => {
    const cwd = workspace();
    const { status, stdout } = runStep("Validate", cwd, { sarif: "lema.sarif" });
    expect(status).toBe(1);
    expect(stdout).toMatch(/^::error /);
    const { runs } = JSON.parse(readFileSync(join(cwd, "lema.sarif"), "utf8"));
    expect(runs[0].results.length).toBe(stdout.trim().split("\n").length);
    const silent = workspace();
    runStep("Validate", silent);
    expect(existsSync(join(silent, "lema.sarif"))).toBe(false);
  });

  it("fails on a glob that matches nothing", () => {
    const { status, stdout } = runStep("Validate", workspace(), { recipes: "nowhere/*.yaml" });
    expect(status).toBe(1);
    expect(stdout).toContain("cannot read nowhere/*.yaml");
  });

  it("takes a file name for a name, whatever it looks like", () => {
    const cwd = workspace();
    const { status, stdout } = runStep("Validate", cwd, { recipes: "--help `touch pwned`" });
    expect(status).toBe(1);
    expect(stdout).toContain("cannot read --help");
    expect(existsSync(join(cwd, "pwned"))).toBe(false);
  });
});

describe("Plan", () => {
  it("writes the summary of every recipe, says what does not fit, and fails only then", () => {
    const cwd = workspace();
    const fits = runStep("Plan", cwd, { recipes: "recipes/fits.yaml" });
    expect(fits).toMatchObject({ status: 0, stdout: "", stderr: "" });
    expect(fits.summary).toMatch(/^<details><summary><code>recipes\/fits\.yaml<\/code>: fits<\/summary>\n/);
    expect(fits.summary).toContain("model    TinyLlama/TinyLlama-1.1B-Chat-v1.0: 22 layers");

    const all = runStep("Plan", cwd, {
      recipes: "recipes/tight.yaml recipes/missing.yaml recipes/fits.yaml",
    });
    expect(all.status).toBe(1);
    expect(all.summary.match(/<summary>.*<\/summary>/g)).toEqual([
      "<summary><code>recipes/fits.yaml</code>: fits</summary>",
      "<summary><code>recipes/tight.yaml</code>: does not fit</summary>",
      "<summary><code>recipes/missing.yaml</code>: cannot be planned</summary>",
      "<summary><code>recipes/fits.yaml</code>: fits</summary>",
    ]);
    expect(all.summary).toContain("[plan.does-not-fit]");
    expect(all.stdout).toContain("::error::recipes/tight.yaml does not fit;");
    expect(all.stdout).toContain("[model.not-found]");
  });
});
