import { rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkManifest, MANIFEST_FILE, writeManifest } from "../../runtime/manifest.ts";
import { codesOf, diagnosticsOf, scratch } from "./helpers.ts";

async function checkpoint(): Promise<string> {
  const directory = await scratch();
  await writeFile(join(directory, "a.bin"), "alpha");
  await writeFile(join(directory, "b.bin"), "");
  await writeManifest(directory);
  return directory;
}

describe("a manifest", () => {
  it("holds the digest and size of every file", async () => {
    expect((await checkManifest(await checkpoint())).files).toEqual({
      "a.bin": { sha256: "8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8", size: 5 },
      "b.bin": { sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", size: 0 },
    });
  });

  it("is what makes a checkpoint complete", async () => {
    const directory = await checkpoint();
    await rm(join(directory, MANIFEST_FILE));
    expect(await codesOf(() => checkManifest(directory))).toEqual(["checkpoint.incomplete"]);
  });

  it.each([
    ["changed", (path: string) => writeFile(path, "alphA"), /SHA-256/],
    ["cut", (path: string) => truncate(path, 3), /3 bytes instead of 5/],
    ["removed", (path: string) => rm(path), /ENOENT/],
  ])("notices a file that was %s", async (_, damage, reason) => {
    const directory = await checkpoint();
    await damage(join(directory, "a.bin"));
    const [problem] = await diagnosticsOf(() => checkManifest(directory));
    expect(problem).toMatchObject({ code: "checkpoint.damaged", summary: expect.stringMatching(reason) });
  });

  it.each(["{", '{"format_version":1,"files":{"../x":{"sha256":"","size":0}}}'])(
    "that is %s counts as damage",
    async (text) => {
      const directory = await checkpoint();
      await writeFile(join(directory, MANIFEST_FILE), text);
      expect(await codesOf(() => checkManifest(directory))).toEqual(["checkpoint.damaged"]);
    },
  );
});
