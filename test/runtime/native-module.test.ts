/** Where the native module is looked for, and what is said when it is missing, broken or of another version. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it, vi } from "vitest";
import { findModule, loadModule, type ModulePlace, PLATFORM_PACKAGE } from "../../runtime/native-module.ts";
import { type Diagnostic, DiagnosticError } from "../../schemas/diagnostic.ts";
import { opTableHash } from "../../schemas/op-table.ts";

/** Whether `existsSync` finds what was built in this checkout. */
const files = vi.hoisted(() => ({ hidden: false }));
vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  return { ...fs, existsSync: (path: string) => !files.hidden && fs.existsSync(path) };
});

const directory = mkdtempSync(join(tmpdir(), "lema-module-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** A module that says it was built for the given op table. */
function moduleFor(opTable: string): string {
  const path = join(directory, `${opTable.replace(/\W/g, "-")}.cjs`);
  const info = { opTable, compiler: "none", instructionSet: "none" };
  writeFileSync(path, `exports.info = () => (${JSON.stringify(info)});`);
  return path;
}

function problemOf(place: ModulePlace | null): Diagnostic {
  try {
    loadModule(place);
  } catch (error) {
    expect(error).toBeInstanceOf(DiagnosticError);
    return (error as DiagnosticError).diagnostics[0]!;
  }
  throw new Error("it was loaded");
}

it("is what was built here, before anything that was installed", () => {
  const place = findModule();
  expect(place).toEqual({
    path: expect.stringMatching(/build\/native\/Release\/lema\.node$/),
    package: null,
  });
  expect(loadModule(place).info().opTable).toBe(opTableHash());
});

it("says how to get one where there is none", () => {
  files.hidden = true;
  const place = findModule();
  files.hidden = false;
  expect(place).toBeNull();
  const problem = problemOf(null);
  expect(problem.code).toBe("run.no-addon");
  expect(problem.hint).toContain("npm run setup");
  expect(problem.hint).toContain(PLATFORM_PACKAGE);
});

it("passes on why a file cannot be loaded", () => {
  const path = join(directory, "broken.node");
  writeFileSync(path, "not a shared object");
  expect(problemOf({ path, package: null })).toMatchObject({
    code: "run.no-addon",
    summary: expect.stringContaining("broken.node"),
  });
});

it("loads a module that was built for the same op table", () => {
  const place = { path: moduleFor(opTableHash()), package: PLATFORM_PACKAGE };
  expect(loadModule(place).info().compiler).toBe("none");
});

it.each([
  [null, "npm run setup"],
  [PLATFORM_PACKAGE, `install lema again, with its own version of ${PLATFORM_PACKAGE}`],
])("refuses a module for another op table (package: %s)", (from, hint) => {
  const path = moduleFor("sha256:0");
  const problem = problemOf({ path, package: from });
  expect(problem.code).toBe("run.addon-mismatch");
  expect(problem.summary).toContain(path);
  expect(problem.detail).toBe(`expected op table ${opTableHash()}\nactual   op table sha256:0`);
  expect(problem.hint).toContain(hint);
});
