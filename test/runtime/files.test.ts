/** Files that are whole or absent. */
import { execFileSync } from "node:child_process";
import { constants, statSync } from "node:fs";
import { mkdir, open, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { replaceFile, writeSynced } from "../../runtime/files.ts";
import { scratch } from "./helpers.ts";

it("a replacement that fails leaves nothing beside the file", async () => {
  const directory = await scratch();
  await mkdir(join(directory, "taken/inside"), { recursive: true });
  await expect(replaceFile(join(directory, "taken"), "text")).rejects.toThrow();
  expect(await readdir(directory)).toEqual(["taken"]);
});

it("a replacement leaves alone what another process is writing beside", async () => {
  const directory = await scratch();
  const others = [join(directory, "a.json.partial"), join(directory, `a.json.${process.ppid}.partial`)];
  for (const path of others) await writeFile(path, "half");
  await replaceFile(join(directory, "a.json"), "mine");
  for (const path of others) expect(await readFile(path, "utf8")).toBe("half");
  expect(await readFile(join(directory, "a.json"), "utf8")).toBe("mine");
});

it.runIf(process.platform === "linux")("a pipe is written to and stays one, as a device does", async () => {
  const path = join(await scratch(), "pipe");
  execFileSync("mkfifo", [path]);
  // Open for both, so that neither end waits for the other.
  const pipe = await open(path, constants.O_RDWR);
  try {
    await replaceFile(path, "text");
    expect(statSync(path).isFIFO()).toBe(true);
    const { buffer, bytesRead } = await pipe.read(Buffer.alloc(16), 0, 16);
    expect(buffer.toString("utf8", 0, bytesRead)).toBe("text");
  } finally {
    await pipe.close();
  }
});

it.runIf(process.platform === "linux")(
  "a full disk is told with the file that it has no room for",
  async () => {
    // A device on which there is never room.
    await expect(writeSynced("/dev/full", "text")).rejects.toMatchObject({
      code: "ENOSPC",
      path: "/dev/full",
    });
    const missing = join(await scratch(), "no/such/place.json");
    await expect(replaceFile(missing, "text")).rejects.toMatchObject({ code: "ENOENT", path: missing });
  },
);
