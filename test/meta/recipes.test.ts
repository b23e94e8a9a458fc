/**
 * Every shipped recipe compiles to the same bytes on every machine, and its summary is reviewed text: `npm run goldens`
 * writes digests and summaries anew.
 */
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { canonicalJson } from "../../schemas/canonical-json.ts";
import type { Plan } from "../../schemas/plan.ts";
import { lema } from "../cli/run-in-process.ts";
import { filesBelow } from "./sources.ts";

const recipes = readdirSync("recipes").filter((name) => name.endsWith(".yaml"));
const cwd = mkdtempSync(join(tmpdir(), "lema-recipes-"));
/** A machine of its own, without a probed profile. */
const surroundings = {
  cwd,
  env: { XDG_CONFIG_HOME: join(cwd, "config"), XDG_CACHE_HOME: join(cwd, "cache") },
};

const golden = (recipe: string) => recipe.replace(".yaml", ".txt");

it("no golden outlives its recipe", () => {
  expect(recipes.map(golden)).toEqual(expect.arrayContaining(readdirSync("test/golden/recipes")));
});

it.each(filesBelow("recipes", ".yaml"))("%s names its schema for editors", (file) => {
  const [first] = readFileSync(file, "utf8").split("\n");
  const named = /^# yaml-language-server: \$schema=(\S+)$/.exec(first!)?.[1];
  const kind = dirname(file) === "recipes" ? "recipe" : "hardware";
  expect(resolve(dirname(file), named!)).toBe(resolve(`schemas/generated/${kind}.schema.json`));
});

beforeAll(() => {
  for (const directory of ["recipes", "assets"]) cpSync(directory, join(cwd, directory), { recursive: true });
});

const digests = new Map<string, string>();

describe.each(recipes)("recipes/%s", (name) => {
  it("plans without weights, data or network, and says what is in its golden", async () => {
    const argv = ["plan", `recipes/${name}`, "--dry-run", "--out", "plan.json"];
    const { exit, stdout, stderr } = await lema(argv, surroundings);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
    const tooWide = stdout.split("\n").filter((line) => line.length > 100);
    expect(tooWide).toEqual([]);
    expect(linksOverBound(stdout)).toEqual([]);
    digests.set(name, digestOf(JSON.parse(readFileSync(join(cwd, "plan.json"), "utf8"))));
    await expect(withoutIds(stdout)).toMatchFileSnapshot(`../golden/recipes/${golden(name)}`);
  });
});

it("the plan of each recipe has, byte for byte, the contents that it has on other machines", async () => {
  expect([...digests.keys()]).toEqual(recipes);
  const lines = [...digests].map(([name, digest]) => `${name} ${digest}\n`);
  await expect(lines.join("")).toMatchFileSnapshot("../golden/plan-digests.txt");
});

/**
 * Of a plan's canonical bytes, but for what every release changes, and `meta`, which names places of this machine;
 * `estimate_id` stands for the hardware profile in it.
 */
function digestOf({ plan_id, lema_version, op_table, meta, ...decided }: Plan): string {
  return createHash("sha256").update(canonicalJson(decided)).digest("hex");
}

/** Lines of links that move more than 2 % above their bound in a step. */
function linksOverBound(summary: string): readonly string[] {
  const links = summary.split("\n").filter((line) => line.includes(" at least "));
  expect(links.length).toBeGreaterThan(0);
  return links.filter((line) => {
    if (line.endsWith("  optimal")) return false;
    const percent = /([\d.]+) % above the bound$/.exec(line)?.[1];
    return percent === undefined || Number(percent) > 2;
  });
}

/** The id changes with the version and the op table, which say nothing about the recipe. */
function withoutIds(text: string): string {
  return text.replace(/sha256:[0-9a-f]{64}/g, "sha256:…");
}
