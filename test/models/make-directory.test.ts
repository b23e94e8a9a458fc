import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { makeDirectory } from "../../models/make-directory.ts";
import { scratch } from "./helpers.ts";

it("makes what is missing, and takes what is there", async () => {
  const root = await scratch();
  const wanted = join(root, "a/b/c");
  await Promise.all([makeDirectory(wanted), makeDirectory(wanted)]);
  await makeDirectory(wanted);
  expect((await stat(wanted)).isDirectory()).toBe(true);
});

it("says why not: a file is in the way", async () => {
  const root = await scratch();
  await writeFile(join(root, "file"), "");
  await expect(makeDirectory(join(root, "file"))).rejects.toMatchObject({ code: "EEXIST" });
  await expect(makeDirectory(join(root, "file/below/it"))).rejects.toMatchObject({ code: "ENOTDIR" });
});

it.runIf(process.platform === "linux")("ends where the system makes no directories", async () => {
  const path = "/proc/no-such-process/below";
  await expect(makeDirectory(path)).rejects.toMatchObject({ code: "ENOENT", path: "/proc/no-such-process" });
});
