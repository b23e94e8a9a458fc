/** `lema merge` as a user meets it: a run, its checkpoint, an adapter; and everything it refuses. */
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../models/checkpoint.ts";
import { hasBackend } from "../end-to-end/has-backend.ts";
import { directoryWith, lema } from "./run-in-process.ts";
import { makeSmallTraining } from "./small-training.ts";

let cwd: string;

beforeAll(async () => {
  cwd = await makeSmallTraining();
  const messages = [
    { role: "user", content: "1+1=" },
    { role: "assistant", content: "2" },
  ];
  await writeFile(join(cwd, "chat.jsonl"), `${JSON.stringify({ messages })}\n`.repeat(8));
  const dataset = ["dataset.path=chat.jsonl", "dataset.format=chat", "dataset.template=chatml"];
  const settings = [...dataset, "sequence.length=96", "memory.ram=160 MiB"].flatMap((setting) => [
    "--set",
    setting,
  ]);
  for (const argv of [
    ["plan", "recipe.yaml", ...settings],
    ["exec", "runs/small"],
  ]) {
    const { exit, stderr } = await lema(argv, { cwd });
    expect(exit, stderr).toBe(0);
  }
  return () => rm(cwd, { recursive: true });
});

const merge = (...argv: string[]) => lema(["merge", ...argv], { cwd });

describe("lema merge", () => {
  it("makes of a run a model that can be planned on, with card, tokenizer and the template it was taught", async () => {
    const { exit, stdout, stderr } = await merge("runs/small", "-o", "merged", "--json");
    expect(exit, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ modules: 42, files: ["model.safetensors"] });
    expect((await readdir(join(cwd, "merged"))).sort()).toEqual([
      ...["README.md", "chat_template.jinja", "config.json", "generation_config.json", "model.safetensors"],
      ...["tokenizer.json", "tokenizer_config.json"],
    ]);
    const card = await readFile(join(cwd, "merged/README.md"), "utf8");
    const plan = JSON.parse(await readFile(join(cwd, "runs/small/plan.json"), "utf8"));
    for (const text of [plan.plan_id, plan.inputs.dataset.digest, plan.inputs.files[0].digest, "3 ("])
      expect(card).toContain(text);
    expect(card).not.toContain(cwd);
    expect(await readFile(join(cwd, "merged/chat_template.jinja"), "utf8")).toContain("<|im_start|>");
    const set = ["--set", "model=merged", "--set", "output=runs/again"];
    expect((await lema(["plan", "recipe.yaml", ...set], { cwd })).exit).toBe(0);
  });

  it("cuts into shards and stores in another dtype", async () => {
    const options = ["--dtype", "bf16", "--max-shard-size", "100kB"];
    const { exit, stdout } = await merge("runs/small/final", "-o", "shards", ...options);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/^Wrote shards: .* in \d+ files, 42 weights merged with model\n$/);
    const { files, tensors, config, diagnostics } = await openCheckpoint(join(cwd, "shards"));
    expect(diagnostics).toEqual([]);
    expect(files.length).toBeGreaterThan(3);
    expect(new Set([...tensors.values()].map(({ dtype }) => dtype))).toEqual(new Set(["BF16"]));
    expect(config.torch_dtype).toBe("bfloat16");
  });

  it("verifies what it wrote against base and adapter, which it leaves unmerged", async () => {
    const golden = resolve("test/golden/merge/patterns/adapter");
    const { exit, stdout, stderr } = await merge(golden, "-o", "verified", "--verify", "--json");
    expect(exit, stderr).toBe(0);
    const { verified } = JSON.parse(stdout);
    expect(verified).toMatchObject({ positions: 4, agreeing: 4 });
    expect(verified.difference).toBeLessThan(1e-5);
    expect(verified.effect).toBeGreaterThan(0.1);
    const narrow = await merge(golden, "-o", "narrow", "--dtype", "bf16", "--verify");
    expect(narrow.stdout).toMatch(/^Verified: logits [\d.]+ % from those of base and adapter/m);
  });

  it("refuses kernels without --verify, which alone would run them, and merges nothing", async () => {
    const { exit, stderr } = await merge("runs/small", "-o", "unread", "--backend", "cpu");
    expect(exit).toBe(1);
    expect(stderr).toContain("--backend without --verify");
    expect(await readdir(cwd)).not.toContain("unread");
  });

  it.skipIf(hasBackend("cuda"))("misses a device before it merges", async () => {
    const { exit, stderr } = await merge("runs/small", "-o", "missed", "--verify", "--backend", "cuda");
    expect(exit).toBe(1);
    expect(stderr).toContain("[run.no-device]");
    expect(await readdir(cwd)).not.toContain("missed");
  });

  it("merges a PEFT adapter with the base that its config names, or the one named here", async () => {
    const golden = resolve("test/golden/merge/patterns/adapter");
    expect((await merge(golden, "-o", "patterns")).exit).toBe(0);
    const base = resolve("test/golden/parity/gqa/model");
    expect((await merge(golden, "-o", "patterns2", "--base", base)).exit).toBe(0);
    const read = (name: string) => readFile(join(cwd, name, "model.safetensors"));
    expect((await read("patterns")).equals(await read("patterns2"))).toBe(true);
  });

  it("refuses another base than the run was trained on, and writes nothing", async () => {
    const other = join(cwd, "other");
    await cp(join(cwd, "model"), other, { recursive: true });
    const weights = join(other, "model.safetensors");
    const bytes = await readFile(weights);
    bytes[bytes.length - 3]! ^= 1;
    await writeFile(weights, bytes);
    const { exit, stderr } = await merge("runs/small", "-o", "never", "--base", "other");
    expect(exit).toBe(1);
    expect(stderr).toContain("adapter.other-base");
    expect(await readdir(cwd)).not.toContain("never");
  });

  it("refuses what is no adapter, an unfinished run, a base that is not here, and a directory that is in use", async () => {
    await mkdir(join(cwd, "runs/begun"), { recursive: true });
    await cp(join(cwd, "runs/small/plan.json"), join(cwd, "runs/begun/plan.json"));
    const orphan = directoryWith({});
    await cp("test/golden/merge/patterns/adapter", orphan, { recursive: true });
    const outcomes = await Promise.all([
      merge("model", "-o", "never"),
      merge("runs/begun", "-o", "never"),
      merge(orphan, "-o", "never"),
      merge("runs/small", "-o", "model"),
      merge("runs/small", "-o", "never", "--max-shard-size", "0"),
      merge("runs/small", "-o", "never", "--base", resolve("test/golden/parity/gqa/model")),
    ]);
    expect(outcomes.map(({ exit }) => exit)).toEqual([1, 1, 1, 1, 1, 1]);
    const codes = outcomes.map(({ stderr }) => /\[([\w.-]+)\]$/m.exec(stderr)?.[1]);
    expect(codes).toEqual([
      ...["adapter.not-found", "adapter.not-found", "adapter.no-base", "output.exists"],
      ...["cli.usage", "adapter.other-base"],
    ]);
    expect(outcomes[1]!.stderr).toContain("--resume");
    expect(await readdir(cwd)).not.toContain("never");
  });
});
