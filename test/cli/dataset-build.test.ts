import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildReplyDataset } from "../../data/reply/build.ts";
import { directoryWith, lema } from "./run-in-process.ts";

const build = (cwd: string, ...argv: string[]) => lema(["dataset", "build", ...argv], { cwd });
const small = ["--examples", "300", "--held-out", "20"];

describe("lema dataset build", () => {
  it("writes examples, held-out questions and the manifest, and says what is in them", async () => {
    const cwd = directoryWith({});
    const { exit, stdout, stderr } = await build(cwd, "-o", "made/here.jsonl", "--seed", "7", ...small);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
    const made = buildReplyDataset({ seed: 7, examples: 300, heldOut: 20 });
    const text = (name: string): string => readFileSync(join(cwd, "made", name), "utf8");
    expect(readdirSync(join(cwd, "made")).sort()).toEqual([
      "here.held-out.jsonl",
      "here.jsonl",
      "here.manifest.json",
    ]);
    expect(text("here.jsonl")).toBe(made.train);
    expect(text("here.held-out.jsonl")).toBe(made.heldOut);
    expect(JSON.parse(text("here.manifest.json"))).toEqual(made.manifest);
    expect(stdout).toMatch(/^all +\d+ +300 +20$/m);
    expect(stdout).toContain("Rows: 225, of which 75 are conversations of two examples.\n");
    expect(stdout).toContain("Wrote made/here.jsonl, made/here.held-out.jsonl, made/here.manifest.json\n");
    expect(stdout).toContain(made.manifest.digest);
  });

  it("prints the manifest as JSON, and writes the same files again without a word", async () => {
    const cwd = directoryWith({});
    await build(cwd, ...small);
    const { exit, stdout } = await build(cwd, ...small, "--json");
    expect(exit).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      seed: 42,
      examples: 300,
      conversations: 75,
      train: { rows: 225 },
      held_out: { rows: 20 },
    });
  });

  it("replaces other content only when told to", async () => {
    const cwd = directoryWith({ "lema-reply.manifest.json": "{}" });
    const refused = await build(cwd, ...small);
    expect(refused.exit).toBe(1);
    expect(refused.stderr).toContain("[data.output-exists]");
    expect(refused.stderr).toContain("lema-reply.manifest.json");
    expect(readdirSync(cwd)).toEqual(["lema-reply.manifest.json"]);
    expect((await build(cwd, ...small, "--force")).exit).toBe(0);
    writeFileSync(join(cwd, "lema-reply.jsonl"), "mine\n");
    expect((await build(cwd, ...small)).stderr).toContain("lema-reply.jsonl\n");
    expect(readFileSync(join(cwd, "lema-reply.jsonl"), "utf8")).toBe("mine\n");
  });

  it.each([
    ["--examples", "100000", "data.too-few"],
    ["--held-out", "100000", "data.too-few"],
    ["--conversations", "5000", "data.too-few"],
    ["--examples", "some", "cli.usage"],
    ["-o", "examples.json", "cli.usage"],
  ])("refuses %s %s", async (option, value, code) => {
    const cwd = directoryWith({});
    const { exit, stderr } = await build(cwd, option, value);
    expect(exit).toBe(1);
    expect(stderr).toContain(`[${code}]`);
    expect(readdirSync(cwd)).toEqual([]);
  });
});
