/**
 * Long context executed, not only planned: at sequence 8192 a small model trains and generates in memory that its
 * resident plan does not fit into, to the same bits.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { makeLlama } from "../../models/make-llama.ts";
import { readMetrics } from "../../runtime/metrics.ts";
import type { GenerationPlan, Plan } from "../../schemas/plan.ts";
import { lema } from "../cli/run-in-process.ts";

const LENGTH = 8192;

const RECIPE = `lema: 1
model: model
dataset: {path: data.jsonl, format: text}
sequence: {length: ${LENGTH}, truncation: end}
adapter: {rank: 2, targets: [q_proj, down_proj]}
training: {steps: 2, batch_size: 1, learning_rate: 1e-2}
memory: {ram: 2 GiB, reserve: {ram: 0 B}}
hardware: cpu-2core
output: runs/resident
`;

let cwd: string;

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), "lema-long-"));
  await makeLlama({
    directory: join(cwd, "model"),
    hiddenSize: 32,
    intermediateSize: 64,
    layers: 3,
    heads: 2,
    keyValueHeads: 1,
    vocabSize: 320,
    maxPositions: LENGTH,
    dtype: "f32",
    seed: 5,
  });
  // One text that fills a row, so that the last position sees all before it.
  const text = Array.from({ length: 9000 }, (_, i) => `${(i * i) % 9973} `).join("");
  writeFileSync(join(cwd, "data.jsonl"), `${JSON.stringify({ text })}\n`.repeat(2));
  writeFileSync(join(cwd, "recipe.yaml"), RECIPE);
  return () => rmSync(cwd, { recursive: true });
});

async function succeed(...argv: string[]): Promise<string> {
  const { exit, stdout, stderr } = await lema(argv, { cwd });
  expect(exit, stderr).toBe(0);
  return stdout;
}

const json = (file: string) => JSON.parse(readFileSync(join(cwd, file), "utf8"));

/** Loads of weights in every step. */
function loads(plan: Plan | GenerationPlan): number {
  const { steady } = "purpose" in plan ? plan.programs.decode : plan.programs["train-step"];
  return steady.filter(({ kind }) => kind === "read").length;
}

describe(`sequence ${LENGTH}`, () => {
  it("trains where the resident plan does not fit", { timeout: 120_000 }, async () => {
    await succeed("plan", "recipe.yaml");
    const resident: Plan = json("runs/resident/plan.json");
    const tooSmall = await lema(["plan", "recipe.yaml", "--set", "memory.ram=1 MiB"], { cwd });
    const least = /at least (\d+) bytes/.exec(tooSmall.stderr)![1]!;
    await succeed("plan", "recipe.yaml", "--set", `memory.ram=${least} B`, "--set", "output=runs/streamed");
    const streamed: Plan = json("runs/streamed/plan.json");
    expect(resident.budgets.ram.total).toBeGreaterThan(1.5 * Number(least));
    expect([loads(resident), loads(streamed) > 0]).toEqual([0, true]);
    for (const run of ["runs/resident", "runs/streamed"]) await succeed("exec", run);
    const outcome = async (run: string) => [
      (await readMetrics(join(cwd, run))).map((row) => ({ ...row, seconds: 0 })),
      readFileSync(join(cwd, run, "final/adapter_model.safetensors")).toString("base64"),
    ];
    expect(await outcome("runs/streamed")).toEqual(await outcome("runs/resident"));
  });

  it("generates where the resident plan does not fit", { timeout: 120_000 }, async () => {
    const prompt = Array.from({ length: 1600 }, (_, i) => `${(i * i) % 9973} `).join("");
    const long = ["generate", "model", "--context", String(LENGTH)];
    await succeed(...long, "--dry-run", "--plan", "resident.json");
    const resident: GenerationPlan = json("resident.json");
    const tooSmall = await lema([...long, "--dry-run", "--memory", "ram=1MiB"], { cwd });
    const least = Number(/at least (\d+) bytes/.exec(tooSmall.stderr)![1]);
    // More than the least, so that a prefill step is more than one position.
    const budget = Math.round(least + (resident.budgets.ram.total - least) / 3);
    const text = async (...more: string[]) => {
      const facts = JSON.parse(
        await succeed(...long, "--prompt", prompt, "--max-tokens", "20", "--json", ...more),
      );
      expect(facts.promptTokens).toBeGreaterThan(LENGTH / 2);
      return { text: facts.text, completionTokens: facts.completionTokens };
    };
    const streamed = await text("--memory", `ram=${budget}`, "--plan", "streamed.json");
    expect(resident.budgets.ram.total).toBeGreaterThan(budget);
    expect([loads(resident), loads(json("streamed.json")) > 0]).toEqual([0, true]);
    expect(await text()).toEqual(streamed);
  });
});
