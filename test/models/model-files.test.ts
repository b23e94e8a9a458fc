import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { modelCard } from "../../models/model-card.ts";
import { withDType } from "../../models/model-files.ts";
import { checkSpace, writeDirectory } from "../../models/output-directory.ts";
import { codesOf, diagnosticsOf, scratch } from "./helpers.ts";

describe("withDType", () => {
  it("changes the dtype and no other byte", () => {
    const text = '{\n  "rope_theta": 10000.0,\n  "torch_dtype": "float16",\n  "vocab_size": 7\n}\n';
    expect(withDType(text, "bf16")).toBe(text.replace("float16", "bfloat16"));
    expect(withDType('{"dtype": null}', "f32")).toBe('{"dtype": "float32"}');
    expect(JSON.parse(withDType('{"a": 1.0}', "f16"))).toEqual({ torch_dtype: "float16", a: 1 });
  });
});

describe("writeDirectory", () => {
  it("leaves nothing behind when it fails, and touches nothing that is there", async () => {
    const root = await scratch();
    const failing = writeDirectory(join(root, "out"), 0, async (directory) => {
      await writeFile(join(directory, "half"), "");
      throw new Error("cut");
    });
    await expect(failing).rejects.toThrow("cut");
    expect(await readdir(root)).toEqual([]);
    await mkdir(join(root, "full"));
    await writeFile(join(root, "full/mine"), "mine");
    const write = () => writeDirectory(join(root, "full"), 0, async () => undefined);
    expect(await codesOf(write)).toEqual(["output.exists"]);
    expect(await readFile(join(root, "full/mine"), "utf8")).toBe("mine");
  });

  it("says that the disk is too small before it writes, and when it fills up", async () => {
    const root = await scratch();
    expect(await codesOf(() => checkSpace(root, 2 ** 60))).toEqual(["output.no-space"]);
    const fill = (code: string) =>
      writeDirectory(join(root, "out"), 0, async () => {
        throw Object.assign(new Error(`${code}: refused, write`), { code, syscall: "write" });
      });
    for (const code of ["ENOSPC", "EDQUOT", "EFBIG"]) {
      const [problem] = await diagnosticsOf(() => fill(code));
      expect(problem).toMatchObject({
        code: "output.no-space",
        where: { file: join(root, "out") },
        hint: expect.any(String),
      });
    }
    await expect(fill("EIO")).rejects.toMatchObject({ code: "EIO", path: join(root, "out") });
  });

  it("refuses a second writer of the same directory, and takes over from one that was killed", async () => {
    const root = await scratch();
    const out = join(root, "out");
    const [first] = await Promise.allSettled([
      writeDirectory(out, 0, async (directory) => {
        expect(await codesOf(() => writeDirectory(out, 0, async () => undefined))).toEqual(["output.locked"]);
        await writeFile(join(directory, "mine"), "");
      }),
    ]);
    expect(first).toMatchObject({ status: "fulfilled" });
    expect(await readdir(root)).toEqual(["out"]);
    expect(await readdir(out)).toEqual(["mine"]);
    const gone = { host: hostname(), pid: process.pid, started: "0" };
    await writeFile(join(root, ".next.lock"), JSON.stringify(gone));
    await mkdir(join(root, ".next.partial"));
    await writeFile(join(root, ".next.partial/half"), "");
    await writeDirectory(join(root, "next"), 0, (directory) => writeFile(join(directory, "whole"), ""));
    expect(await readdir(join(root, "next"))).toEqual(["whole"]);
    expect((await readdir(root)).sort()).toEqual(["next", "out"]);
  });
});

describe("modelCard", () => {
  const facts = {
    name: "merged",
    base: { name: "org/model", onHub: true, commit: "c".repeat(40), digests: new Map() },
    adapter: { digest: "sha256:aa", modules: 14, ranks: [2, 5] },
    dtype: "bf16",
    training: {
      planId: "sha256:plan",
      lemaVersion: "0.1.0",
      dataset: { name: "data.jsonl", digest: "sha256:data", rows: 10 },
      recipe: {
        model: "/home/somebody/models/base",
        output: "runs/a",
        dataset: { path: "../secret/data.jsonl" },
      },
      result: null,
    },
  };

  it("names base, data, recipe and plan, and no directory of this machine", () => {
    const card = modelCard(facts);
    expect(card).toMatch(/^---\nbase_model: org\/model\n/);
    for (const text of [
      "c".repeat(40),
      "sha256:aa",
      "14 modules",
      "ranks 2, 5",
      "sha256:plan",
      "sha256:data",
    ])
      expect(card).toContain(text);
    expect(card).not.toContain("/home/");
    expect(card).not.toContain("secret");
  });

  it("claims no Hub model for a base that is a directory", () => {
    const card = modelCard({ ...facts, base: { ...facts.base, name: "dir", onHub: false, commit: null } });
    expect(card).not.toContain("base_model:");
  });
});
