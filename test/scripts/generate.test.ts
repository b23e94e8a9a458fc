import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { diagnosticCodes } from "../../schemas/diagnostic.ts";
import { findStale, generateAll } from "../../scripts/generate.ts";

it("generated files are fresh", async () => {
  expect(findStale(await generateAll(), ".").map(({ path }) => path)).toEqual([]);
});

it("notices a missing and a changed file", async () => {
  const root = mkdtempSync(join(tmpdir(), "lema-generate-"));
  const files = await generateAll();
  expect(findStale(files, root)).toEqual(files);
  for (const { path, content } of files) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  expect(findStale(files, root)).toEqual([]);
  writeFileSync(join(root, files[0]!.path), `${files[0]!.content} `);
  expect(findStale(files, root)).toEqual([files[0]]);
});

it("gives every diagnostic code a line of its own", async () => {
  const page = (await generateAll()).find(({ path }) => path === "docs/diagnostics.md")!.content;
  for (const [code, { doc }] of Object.entries(diagnosticCodes)) {
    expect(page.split("\n").filter((line) => line.startsWith(`| \`${code}\` |`))).toHaveLength(1);
    expect(doc).toMatch(/\.$/);
  }
});
