/** Every shipped recipe compiles, and its summary is reviewed text: `vitest -u` writes it anew. */
import { cpSync, mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { makeQuickstartFiles } from "../../scripts/quickstart-files.ts";
import { lema } from "../cli/run-in-process.ts";

const recipes = readdirSync("recipes").filter((name) => name.endsWith(".yaml"));
const cwd = mkdtempSync(join(tmpdir(), "lema-recipes-"));
/** A machine of its own, without a probed profile. */
const surroundings = {
  cwd,
  env: { XDG_CONFIG_HOME: join(cwd, "config"), XDG_CACHE_HOME: join(cwd, "cache") },
};

beforeAll(async () => {
  cpSync("recipes", join(cwd, "recipes"), { recursive: true });
  await makeQuickstartFiles(cwd);
});

describe.each(recipes)("recipes/%s", (name) => {
  it("plans without weights, data or network, and says what is in its golden", async () => {
    const { exit, stdout, stderr } = await lema(["plan", `recipes/${name}`, "--dry-run"], surroundings);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
    const tooWide = stdout.split("\n").filter((line) => line.length > 100);
    expect(tooWide).toEqual([]);
    await expect(withoutIds(stdout)).toMatchFileSnapshot(
      `../golden/recipes/${name.replace(".yaml", ".txt")}`,
    );
  });
});

/** The id changes with the version and the op table, which say nothing about the recipe. */
function withoutIds(text: string): string {
  return text.replace(/sha256:[0-9a-f]{64}/g, "sha256:…");
}
