/** Merging, laying out and exporting hold a piece of a tensor in memory, never a tensor and never the model. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { mkdtemp, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { ADAPTER_METADATA, ADAPTER_WEIGHTS_FILE } from "../../models/adapter-file.ts";
import { allLlamaTensors, readLlamaConfig } from "../../models/llama.ts";
import { makeLlama } from "../../models/make-llama.ts";
import { layoutSafetensors, type TensorSpec, writeSafetensors } from "../../models/safetensors-writer.ts";
import { COMMAND_LINE, type Measured, measured } from "./measured.ts";

const HIDDEN = 256;
/** Of the feed-forward layer: each of its three matrices takes 123 MB, 369 MB in all. */
const WIDE = 240_000;
const RANK = 2;
/** Bytes of one matrix as it is stored. */
const MATRIX = 2 * HIDDEN * WIDE;
/** Above an idle lema. Whoever merged a whole matrix would hold it twice as it is stored, and its float32 values. */
const ALLOWED: Readonly<Record<string, number>> = { merge: 2 * MATRIX, prepare: MATRIX, export: MATRIX };

let cwd: string;

/** A model whose weights are zeros that take no room on disk, and an adapter of its widest matrices. */
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), "lema-large-"));
  const model = join(cwd, "model");
  const small = { hiddenSize: HIDDEN, intermediateSize: HIDDEN, layers: 1, heads: 4, vocabSize: 320 };
  await makeLlama({ directory: model, ...small, dtype: "f16", seed: 1 });
  const file = join(model, "config.json");
  const raw = { ...JSON.parse(readFileSync(file, "utf8")), intermediate_size: WIDE };
  writeFileSync(file, JSON.stringify(raw));
  const tensors = allLlamaTensors(readLlamaConfig(raw).config!).map(
    ({ name, shape }): TensorSpec => ({ name, shape, dtype: "F16" }),
  );
  const { header, fileBytes } = layoutSafetensors(tensors, { format: "pt" });
  writeFileSync(join(model, "model.safetensors"), header);
  truncateSync(join(model, "model.safetensors"), fileBytes);

  const adapter = join(cwd, "adapter");
  mkdirSync(adapter);
  const settings = { r: RANK, lora_alpha: 4, target_modules: ["down_proj", "up_proj"], peft_type: "LORA" };
  writeFileSync(
    join(adapter, "adapter_config.json"),
    JSON.stringify({ ...settings, base_model_name_or_path: model, task_type: "CAUSAL_LM" }),
  );
  const shapes = { down_proj: [HIDDEN, WIDE], up_proj: [WIDE, HIDDEN] } as const;
  const factors = Object.entries(shapes).flatMap(([linear, [outputs, inputs]]) =>
    [
      { factor: "A", shape: [RANK, inputs] },
      { factor: "B", shape: [outputs, RANK] },
    ].map(({ factor, shape }) => ({
      name: `base_model.model.model.layers.0.mlp.${linear}.lora_${factor}.weight`,
      dtype: "F32" as const,
      shape,
      data: [new Uint8Array(new Float32Array(shape[0]! * shape[1]!).fill(0.5).buffer)],
    })),
  );
  await writeSafetensors(join(adapter, ADAPTER_WEIGHTS_FILE), factors, ADAPTER_METADATA);
  return () => rmSync(cwd, { recursive: true });
}, 60_000);

const run = (...argv: string[]): Promise<Measured> => measured(argv, { cwd, env: { HOME: cwd } });

it("Ctrl-C ends a merge, and nothing of it is left", async () => {
  const before = await readdir(cwd);
  const child = spawn(process.execPath, [...COMMAND_LINE, "merge", "adapter", "-o", "stopped"], {
    cwd,
    env: { ...process.env, HOME: cwd },
  });
  let stderr = "";
  child.stderr.on("data", (text) => {
    stderr += text;
  });
  const ended = once(child, "close");
  const partial = join(cwd, ".stopped.partial");
  while (!existsSync(partial) && child.exitCode === null) await new Promise((tick) => setTimeout(tick, 10));
  child.kill("SIGINT");
  expect([await ended, stderr]).toEqual([[1, null], expect.stringContaining("[cli.interrupted]")]);
  expect((await readdir(cwd)).filter((name) => name !== ".cache")).toEqual(before);
}, 60_000);

it.runIf(process.platform === "linux")(
  "merge, prepare and export keep their memory, whatever a tensor takes",
  { timeout: 300_000 },
  async () => {
    const { peak: idle } = await run("merge", "nowhere", "-o", "nothing");
    const growth: Record<string, number> = {};
    const succeed = async (name: string, ...argv: string[]): Promise<void> => {
      const { exit, stderr, peak } = await run(name, ...argv);
      expect(exit, stderr).toBe(0);
      growth[name] = peak - idle;
    };
    await succeed("merge", "adapter", "-o", "merged", "--max-shard-size", "150MB");
    expect((await readdir(join(cwd, "merged"))).filter((name) => name.endsWith(".safetensors"))).toHaveLength(
      3,
    );
    await succeed("prepare", "merged", "-o", "prepared");
    await succeed("export", "prepared", "--gguf", "model.gguf");
    console.log(`369 MB: peak of memory above an idle lema in bytes: ${JSON.stringify(growth)}`);
    for (const [name, bytes] of Object.entries(growth)) expect(bytes, name).toBeLessThan(ALLOWED[name]!);
  },
);
