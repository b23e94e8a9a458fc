/**
 * A whole `lema exec`, as a user starts it, under a real limit: RLIMIT_DATA (which counts every private writable page
 * that the process reserves, thread stacks and V8's heap included, touched or not) at the plan's total + 5 %. The plan
 * is the smallest; the limit is real, because the resident plan of the same training does not run under it.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { makeLlama } from "../../models/make-llama.ts";
import type { Plan } from "../../schemas/plan.ts";
import { lema, type Outcome } from "../cli/run-in-process.ts";

const BIN = resolve(import.meta.dirname, "../../bin/lema.js");
const MEBIBYTE = 2 ** 20;
const BLOCK = 4096;
/** What a longer run reads besides weights: /proc at each step, and its records. */
const RECORDS = MEBIBYTE / 4;

let directory: string;
let smallest: number;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "lema-limit-"));
  await makeLlama({
    directory: join(directory, "model"),
    hiddenSize: 320,
    intermediateSize: 1024,
    layers: 16,
    heads: 4,
    vocabSize: 259,
    dtype: "f32",
    seed: 5,
  });
  const rows = Array.from({ length: 40 }, (_, i) => `${JSON.stringify({ text: `sample ${i * i}` })}\n`);
  await writeFile(join(directory, "data.jsonl"), rows.join(""));
  const { exit, stderr } = await plan("none", 193 * MEBIBYTE);
  expect(exit).toBe(3);
  smallest = Number(/at least (\d+) bytes/.exec(stderr)![1]);
  return () => rm(directory, { recursive: true });
});

const environment = () => ({ HOME: directory, XDG_CACHE_HOME: join(directory, "cache") });

/** Writes `NAME/plan.json` for a total of ram in bytes. */
async function plan(name: string, ram: number, steps = 3): Promise<Outcome> {
  await writeFile(
    join(directory, `${name}.yaml`),
    `
lema: 1
model: model
dataset: {path: data.jsonl, format: text}
sequence: {length: 16}
adapter: {rank: 2}
training: {steps: ${steps}, batch_size: 2, learning_rate: 1e-3, precision: f32}
memory: {ram: ${ram}, reserve: {ram: 192 MiB}}
hardware: cpu-2core
checkpoint: {every: 1000 steps}
output: ${name}
`,
  );
  return lema(["plan", `${name}.yaml`], { cwd: directory, env: environment() });
}

async function planned(name: string, ram: number, steps = 3): Promise<Plan> {
  const { exit, stderr } = await plan(name, ram, steps);
  expect(exit, stderr).toBe(0);
  return JSON.parse(readFileSync(join(directory, name, "plan.json"), "utf8")) as Plan;
}

/** Runs `lema exec` with at most `limit` bytes of data; the process leaves its /proc/self/io in a file. */
function exec(name: string, limit: number | null): { readonly exit: number | null; readonly read: number } {
  const io = join(directory, `${name}.io`);
  const leave = `
    import { readFileSync, writeFileSync } from "node:fs";
    process.on("exit", () => writeFileSync(${JSON.stringify(io)}, readFileSync("/proc/self/io")));
  `;
  const argv = ["--import", `data:text/javascript,${encodeURIComponent(leave)}`, BIN, "exec", name];
  const limits = `--data=${limit ?? "unlimited"}`;
  const { status, error } = spawnSync("prlimit", [limits, process.execPath, ...argv], {
    cwd: directory,
    env: { ...process.env, ...environment() },
  });
  if (error) throw error;
  const read = existsSync(io) ? Number(/^rchar: (\d+)/m.exec(readFileSync(io, "utf8"))![1]) : Number.NaN;
  return { exit: status, read };
}

const adapterOf = (name: string): Buffer =>
  readFileSync(join(directory, name, "final/adapter_model.safetensors"));

describe.runIf(process.platform === "linux")("lema exec under RLIMIT_DATA", () => {
  it("runs the smallest plan at its total + 5 %, to the bits of a resident run, and no resident plan", async () => {
    const { budgets } = await planned("smallest", smallest);
    const limit = Math.floor(1.05 * budgets.ram.total);
    expect(exec("smallest", limit).exit).toBe(0);
    await planned("resident", 2 ** 30);
    await planned("refused", 2 ** 30);
    expect(exec("refused", limit).exit).not.toBe(0);
    expect(exec("resident", null).exit).toBe(0);
    expect(adapterOf("smallest").equals(adapterOf("resident"))).toBe(true);
  });

  it("reads in a step what the plan says, as /proc/self/io counts the whole process", async () => {
    const [few, many] = [2, 8];
    const { programs } = await planned("few", smallest, few);
    const { steady } = programs["train-step"];
    const sum = (of: (one: (typeof steady)[number]) => number) =>
      (many - few) * steady.reduce((total, one) => total + of(one), 0);
    const moved = sum((one) => (one.kind === "read" ? one.bytes : 0));
    // A file that is not aligned costs a block more on either side of each segment; a gather is planned at its worst.
    const blocks = sum((one) => (one.kind === "read" ? 2 * BLOCK * one.segments.length : 0));
    const slack = blocks + sum((one) => (one.kind === "gather" ? one.bytes : 0)) + RECORDS;
    await planned("many", smallest, many);
    const read = exec("many", null).read - exec("few", null).read;
    console.log(
      `${many - few} steps: planned ${moved} bytes, read ${read}, of ${slack} slack ${read - moved} used`,
    );
    expect(slack).toBeLessThan(moved / 50);
    expect(read).toBeGreaterThanOrEqual(moved);
    expect(read).toBeLessThanOrEqual(moved + slack);
  });
});
