import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { diagnosticCodes } from "../../schemas/diagnostic.ts";
import { ops } from "../../schemas/ops/index.ts";
import { filesBelow } from "./sources.ts";

describe("every diagnostic", () => {
  const tests = filesBelow("test", ".ts").filter((file) => !file.startsWith("test/meta/"));
  const tested = tests.map((file) => readFileSync(file, "utf8")).join("\n");
  const sources = [
    "schemas",
    "planner",
    "models",
    "data",
    "hub",
    "runtime",
    "workflow",
    "chat",
    "kaggle",
    "cli",
  ]
    .flatMap((folder) => filesBelow(folder, ".ts"))
    .filter((file) => file !== "schemas/diagnostic.ts")
    .map((file) => readFileSync(file, "utf8"))
    .join("\n");
  const page = readFileSync("docs/diagnostics.md", "utf8");

  it.each(Object.keys(diagnosticCodes))("%s is raised, tested and documented", (code) => {
    expect(sources.includes(`"${code}"`), "no code raises it").toBe(true);
    // Tests may name it inside a longer line of expected text.
    const whole = new RegExp(`(?<![\\w.-])${code.replaceAll(".", "\\.")}(?![\\w-])`);
    expect(whole.test(tested), "no test names it").toBe(true);
    expect(page).toContain(`| \`${code}\` |`);
  });
});

describe("every op", () => {
  const page = readFileSync("docs/ops.md", "utf8");
  const fileName = (op: string, extension: string): string => `${op.replaceAll("_", "-")}.${extension}`;

  it.each(ops.map(({ name, doc }) => ({ name, doc })))("$name has doc and kernels", ({ name, doc }) => {
    expect(doc).toMatch(/=/);
    expect(page).toContain(`## ${name}\n`);
    const files = [
      `schemas/ops/${fileName(name, "ts")}`,
      `native/kernels/reference/${name}.cc`,
      `native/kernels/cpu/${name}.cc`,
      `native/kernels/cuda/${name}.cu`,
    ];
    expect(files.filter((file) => !existsSync(file))).toEqual([]);
  });
});
