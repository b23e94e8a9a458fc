/** Whole runs on the engine: what they leave behind, and what is refused before anything is written. */
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { readSafetensorsHeader } from "../../models/safetensors.ts";
import { readMetrics } from "../../runtime/metrics.ts";
import { openPlan } from "../../runtime/open-plan.ts";
import { claimDirectory, readRecord } from "../../runtime/run-directory.ts";
import type { PlanSession } from "../../runtime/session.ts";
import type { Plan } from "../../schemas/plan.ts";
import { codesOf, diagnosticsOf, scratch } from "./helpers.ts";
import { makeFiles, makePlan, run } from "./small-run.ts";

const SHORT = "steps: 3, batch_size: 4, learning_rate: 5e-3, schedule: constant";

let directory: string;
let plan: Plan;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "lema-run-"));
  await makeFiles(directory);
  plan = await makePlan(directory, { training: SHORT });
  await run(directory, "first", plan, { trace: true });
  return () => rm(directory, { recursive: true });
});

describe("a run", () => {
  it("records what it was, and the memory planned and measured", async () => {
    const record = await readRecord(join(directory, "first"));
    const { files } = JSON.parse(await readFile(join(directory, "first/final/manifest.json"), "utf8"));
    expect(record).toMatchObject({
      plan_id: plan.plan_id,
      status: "finished",
      backend: "cpu",
      threads: 2,
      steps: 3,
      total_steps: 3,
      memory: { ram: { planned: plan.budgets.ram.total, measured: expect.any(Number) }, vram: null },
      adapter: `sha256:${files["adapter_model.safetensors"].sha256}`,
    });
  });

  it("learns: the loss falls, and rows are averaged over their supervised tokens", async () => {
    const metrics = await readMetrics(join(directory, "first"));
    const losses = metrics.flatMap((row) => ("loss" in row ? [row.loss] : []));
    expect(losses).toHaveLength(3);
    expect(losses[2]).toBeLessThan(losses[0]!);
    // A fresh model guesses: ln 320 = 5.77.
    expect(losses[0]).toBeGreaterThan(5);
    expect(losses[0]).toBeLessThan(6.5);
  });

  it("traces each instruction of the last step", async () => {
    const { program, instructions } = JSON.parse(await readFile(join(directory, "first/trace.json"), "utf8"));
    expect(program).toBe("train-step");
    expect(instructions.map(({ id }: { id: string }) => id)).toEqual(
      plan.programs["train-step"].steady.map(({ id }) => id),
    );
  });

  it("starts from an adapter, as its values", async () => {
    const from = join(directory, "first/final");
    const continued = await makePlan(directory, { training: SHORT, adapter: `{type: lora, from: ${from}}` });
    const name = plan.parameters[1]!.name;
    const { tensors } = await readSafetensorsHeader(join(from, "adapter_model.safetensors"));
    const { offset, bytes } = tensors.get(name)!;
    const file = await readFile(join(from, "adapter_model.safetensors"));
    const saved = file.subarray(offset, offset + bytes);
    let before: Promise<Float32Array> | undefined;
    const onStart = (session: PlanSession): void => {
      before = session.readParameter(continued.parameters[1]!, "value");
    };
    await run(directory, "continued", continued, {}, { onStart });
    expect(Buffer.from((await before!).buffer).equals(saved)).toBe(true);
    expect(saved.some((byte) => byte !== 0)).toBe(true);
  });
});

describe("before anything is written", () => {
  it("a directory that holds a run is refused", async () => {
    const before = await readFile(join(directory, "first/run.json"), "utf8");
    expect(await codesOf(() => run(directory, "first", plan))).toEqual(["run.output-exists"]);
    expect(await readFile(join(directory, "first/run.json"), "utf8")).toBe(before);
  });

  it("an output that cannot be written is refused", async () => {
    await writeFile(join(directory, "file"), "");
    expect(await codesOf(() => claimDirectory(join(directory, "file")))).toEqual(["run.output-unwritable"]);
    expect(await codesOf(() => run(directory, "file/below", plan))).toEqual(["run.output-unwritable"]);
  });

  it("weights that hold NaN are refused, and leave no checkpoint", async () => {
    const other = await scratch();
    await makeFiles(other);
    const path = join(other, "model/model.safetensors");
    const { tensors } = await readSafetensorsHeader(path);
    const file = await readFile(path);
    file.writeUInt16LE(0x7fc0, tensors.get("model.layers.4.mlp.up_proj.weight")!.offset + 10);
    await writeFile(path, file);
    const broken = await makePlan(other, { training: SHORT });
    const [problem] = await diagnosticsOf(() => run(other, "run", broken));
    expect(problem).toMatchObject({
      code: "weights.non-finite",
      summary: expect.stringContaining("model.layers.4.mlp.up_proj.weight"),
    });
    expect((await readdir(join(other, "run"))).filter((name) => /checkpoint|final/.test(name))).toEqual([]);
  });

  it("an output that vanishes or fills up while it is written is named", async () => {
    const onStep = () => rm(join(directory, "vanishing"), { recursive: true });
    const [problem] = await diagnosticsOf(() => run(directory, "vanishing", plan, {}, { onStep }));
    expect(problem).toMatchObject({
      code: "run.output-unwritable",
      where: { file: join(directory, "vanishing") },
      hint: expect.stringContaining("--resume"),
    });
  });

  it("a diverging training names its step and keeps its checkpoints", async () => {
    const wild = await makePlan(directory, {
      training: "steps: 5, batch_size: 4, learning_rate: 1, schedule: constant",
      adapter: "{type: lora, rank: 2, alpha: 1e20}",
      checkpoint: "{every: 1 steps, keep: 1}",
    });
    const [problem] = await diagnosticsOf(() => run(directory, "wild", wild));
    expect(problem!.code).toBe("run.non-finite");
    const step = Number(/in step (\d+)$/.exec(problem!.summary)![1]);
    const kept = (await readdir(join(directory, "wild"))).filter((name) => /checkpoint|final/.test(name));
    expect(kept).toEqual([`checkpoint-${step - 1}`]);
    expect(await readRecord(join(directory, "wild"))).toMatchObject({ status: "failed", steps: step - 1 });
  });
});

it("hears a wish to stop at once that comes before the first step", async () => {
  const long = await makePlan(directory, { training: SHORT.replace("3", "4000") });
  const cancel = AbortSignal.abort();
  expect(await codesOf(() => run(directory, "cancelled", long, { cancel }))).toEqual(["run.cancelled"]);
  expect(await readRecord(join(directory, "cancelled"))).toMatchObject({
    status: "stopped",
    total_steps: 4000,
  });
});

describe("a plan whose inputs changed", () => {
  const change = (file: string, edit: (text: string) => string) => async (root: string) => {
    const path = join(root, file);
    await writeFile(path, edit(await readFile(path, "utf8")));
  };

  it.each([
    ["weights", "model.safetensors", flipByte],
    [
      "config",
      "config.json",
      change("model/config.json", (text) => text.replace('"rope_theta": 10000', '"rope_theta": 20000')),
    ],
    ["dataset", "the dataset", (root: string) => appendFile(join(root, "data.jsonl"), '{"text":"more"}\n')],
    ["tokenizer", "the tokenizer", change("model/tokenizer_config.json", (text) => `${text}\n`)],
  ])("is refused for its %s, naming it with both digests", async (_, named, edit) => {
    const root = await scratch();
    await makeFiles(root);
    const fresh = await makePlan(root, { training: SHORT });
    await edit(root);
    const problems = await diagnosticsOf(() => run(root, "run", fresh));
    expect(problems.map(({ code }) => code)).toContain("plan.stale");
    expect(problems[0]).toMatchObject({
      summary: expect.stringContaining(named),
      detail: expect.stringMatching(/^expected sha256:[0-9a-f]{64}\nactual {3}sha256:[0-9a-f]{64}$/),
    });
    expect(await readdir(root)).not.toContain("run");
  });
});

describe("openPlan", () => {
  it("believes a file that verifies", async () => {
    const path = join(directory, "first/plan.json");
    expect((await openPlan(path)).plan_id).toBe(plan.plan_id);
  });

  it.each([
    ["edited by hand", (text: string) => text.replace(/"seed": 42/g, '"seed": 43'), "verify.plan-id"],
    ["cut", (text: string) => text.slice(0, 1000), "plan.syntax"],
    ["no plan", () => "{}", "verify.format"],
  ])("refuses one that was %s", async (_, edit, code) => {
    const path = join(await scratch(), "plan.json");
    await writeFile(path, edit(await readFile(join(directory, "first/plan.json"), "utf8")));
    const problems = await diagnosticsOf(() => openPlan(path));
    expect(problems[0]).toMatchObject({ code, where: { file: path } });
  });

  it("refuses a file that is not there", async () => {
    expect(await codesOf(() => openPlan(join(directory, "none.json")))).toEqual(["cli.unreadable-file"]);
  });
});

async function flipByte(root: string): Promise<void> {
  const path = join(root, "model/model.safetensors");
  const file = await readFile(path);
  file[file.length - 1]! ^= 1;
  await writeFile(path, file);
}
