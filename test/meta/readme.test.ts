/** What the README shows of lema's answers is what lema answers. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

it("shows the plan of llama2-p100 as it is, but for lines that are left out", () => {
  const block = /^\$ npx lema plan recipes\/llama2-p100\.yaml --dry-run\n([^`]*)```/m.exec(
    readFileSync("README.md", "utf8"),
  );
  const shown = block![1]!.trimEnd().split("\n");
  expect(shown.length).toBeGreaterThan(10);
  const answer = readFileSync("test/golden/recipes/llama2-p100.txt", "utf8").split("\n");
  let at = 0;
  for (const line of shown) {
    const found = answer.indexOf(line, at);
    expect(found, line).toBeGreaterThanOrEqual(0);
    at = found + 1;
  }
});
