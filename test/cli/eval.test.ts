import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import type { RunReport } from "../../chat/evaluate-run.ts";
import { buildReplyDataset } from "../../data/reply/build.ts";
import { directoryWith, lema } from "./run-in-process.ts";

const MODEL = resolve("assets/lema-mini");
const QUESTIONS = 8;
const limit = ["--limit", String(QUESTIONS)];

describe("lema eval, of the small Llama that ships, which knows the answers and not the format", () => {
  it("reports as JSON, with the base and all replies", async () => {
    const { exit, stdout, stderr } = await lema(["eval", MODEL, ...limit, "--base", "--json"]);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
    const report = JSON.parse(stdout) as RunReport;
    expect(report).toMatchObject({ questions: QUESTIONS, inFormat: 0, formatCompliance: 0 });
    expect(report.base!.format).toMatchObject({ questions: QUESTIONS, inFormat: 0 });
    expect(report.base!.prose!.correct).toBeGreaterThanOrEqual(QUESTIONS - 1);
    expect(report.replies).toHaveLength(QUESTIONS);
    expect(report.template).toBe("tokenizer");
  });

  it("reads questions of a file, and says the same of the same", async () => {
    const { heldOut } = buildReplyDataset({ seed: 42, heldOut: QUESTIONS });
    const cwd = directoryWith({ "mine.jsonl": heldOut, "none.jsonl": "" });
    const built = await lema(["eval", MODEL, ...limit], { cwd });
    const read = await lema(["eval", MODEL, "--questions", "mine.jsonl"], { cwd });
    expect(read.stdout).toBe(built.stdout);
    expect(read.stdout).toMatch(new RegExp(`^all +${QUESTIONS} +0 \\(0 %\\)`, "m"));
    const none = await lema(["eval", MODEL, "--questions", "none.jsonl"], { cwd });
    expect([none.exit, none.stderr]).toEqual([1, expect.stringContaining("[data.empty]")]);
  });

  it("asks in the template that it is told", async () => {
    const argv = ["eval", MODEL, "--limit", "1", "--template", "lema-reply", "--max-tokens", "4", "--json"];
    const report = JSON.parse((await lema(argv)).stdout) as RunReport;
    expect(report.template).toBe("lema-reply");
    expect(report.base).toBeNull();
  });
});
