/** Files that are whole or absent. */
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { replaceFile } from "../../runtime/files.ts";
import { scratch } from "./helpers.ts";

it("a replacement that fails leaves nothing beside the file", async () => {
  const directory = await scratch();
  await mkdir(join(directory, "taken/inside"), { recursive: true });
  await expect(replaceFile(join(directory, "taken"), "text")).rejects.toThrow();
  expect(await readdir(directory)).toEqual(["taken"]);
});
