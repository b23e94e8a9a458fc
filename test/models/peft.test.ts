import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ADAPTER_METADATA, ADAPTER_WEIGHTS_FILE } from "../../models/adapter-file.ts";
import { openCheckpoint } from "../../models/checkpoint.ts";
import { decodeFloats, encodeFloats } from "../../models/float-codec.ts";
import { type LlamaConfig, readLlamaConfig } from "../../models/llama.ts";
import { readPeftAdapter } from "../../models/peft.ts";
import { peftConfigText } from "../../models/peft-config.ts";
import { ADAPTER_CONFIG_FILE } from "../../models/peft-settings.ts";
import { readSafetensorsHeader } from "../../models/safetensors.ts";
import { type TensorData, writeSafetensors } from "../../models/safetensors-writer.ts";
import { codesOf, diagnosticsOf, scratch } from "./helpers.ts";

/** Adapters that PEFT itself saved. */
const GOLDEN = "test/golden/parity";
const MERGE_GOLDEN = "test/golden/merge";

async function model(name: string): Promise<LlamaConfig> {
  const { config } = await openCheckpoint(join(GOLDEN, name, "model"));
  return readLlamaConfig(config).config!;
}

/** A copy of PEFT's adapter `base`, and its tensors, to be damaged. */
async function copy(): Promise<{
  directory: string;
  tensors: TensorData[];
  config: Record<string, unknown>;
}> {
  const directory = await scratch();
  await cp(join(GOLDEN, "base", "adapter"), directory, { recursive: true });
  const path = join(directory, ADAPTER_WEIGHTS_FILE);
  const bytes = await readFile(path);
  const header = await readSafetensorsHeader(path);
  const tensors = [...header.tensors.values()].map((tensor) => ({
    ...tensor,
    data: [bytes.subarray(tensor.offset, tensor.offset + tensor.bytes)],
  }));
  const config = JSON.parse(await readFile(join(directory, ADAPTER_CONFIG_FILE), "utf8"));
  return { directory, tensors, config };
}

describe("peftConfigText", () => {
  it.each([
    ...["base", "targets", "rslora", "gqa", "odd", "patterns"].map((name) => join(GOLDEN, name)),
    ...["patterns", "rslora_patterns"].map((name) => join(MERGE_GOLDEN, name)),
  ])("writes what PEFT wrote: %s", async (directory) => {
    const golden = await readFile(join(directory, "adapter", ADAPTER_CONFIG_FILE), "utf8");
    const { r, lora_alpha, use_rslora, target_modules, base_model_name_or_path, ...patterns } =
      JSON.parse(golden);
    const text = peftConfigText({
      rank: r,
      alpha: lora_alpha,
      rslora: use_rslora,
      targets: target_modules,
      rankPattern: Object.entries(patterns.rank_pattern),
      alphaPattern: Object.entries(patterns.alpha_pattern),
      baseModel: base_model_name_or_path,
    });
    expect(text).toBe(golden.trimEnd());
  });

  it("escapes as Python does", () => {
    const patterns = { rankPattern: [], alphaPattern: [] };
    const settings = { rank: 1, alpha: 0.5, rslora: false, targets: ["q_proj"], ...patterns };
    const text = peftConfigText({ ...settings, baseModel: 'a\u007f\u0080é\u{1f600}"\\/\n\b' });
    expect(text).toContain(
      String.raw`"base_model_name_or_path": "a\u007f\u0080\u00e9\ud83d\ude00\"\\/\n\b",`,
    );
    expect(text).toContain('"lora_alpha": 0.5,');
    expect(peftConfigText({ ...settings, baseModel: null })).toContain('"base_model_name_or_path": null,');
  });
});

describe("readPeftAdapter", () => {
  it.each(["base", "targets", "rslora", "gqa_head_dim", "patterns"])(
    "reads what PEFT wrote: %s",
    async (name) => {
      const directory = join(GOLDEN, name, "adapter");
      const config = JSON.parse(await readFile(join(directory, ADAPTER_CONFIG_FILE), "utf8"));
      const adapter = await readPeftAdapter(directory, await model(name));
      expect(adapter.diagnostics).toEqual([]);
      expect(adapter).toMatchObject({
        config: { rank: config.r, alpha: config.lora_alpha, rslora: config.use_rslora },
        baseModel: config.base_model_name_or_path,
        digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      });
      expect(adapter.config.targets.toSorted()).toEqual(config.target_modules.toSorted());
      const bytes = await readFile(join(directory, ADAPTER_WEIGHTS_FILE));
      const header = await readSafetensorsHeader(join(directory, ADAPTER_WEIGHTS_FILE));
      expect(adapter.tensors.size).toBe(header.tensors.size);
      for (const [name, { offset, bytes: length }] of header.tensors) {
        expect(adapter.tensors.get(name)).toEqual(
          decodeFloats(bytes.subarray(offset, offset + length), "f32"),
        );
      }
    },
  );

  it.each(["f16", "bf16"] as const)("widens %s tensors", async (dtype) => {
    const { directory, tensors } = await copy();
    const values = Float32Array.from({ length: 32 * 4 }, (_, index) => index / 4);
    const narrowed = tensors.map((tensor) => {
      const [rows, columns] = tensor.shape as [number, number];
      const data = [encodeFloats(values.slice(0, 1), dtype)].concat(
        encodeFloats(new Float32Array(rows * columns - 1), dtype),
      );
      return { ...tensor, dtype: dtype === "f16" ? ("F16" as const) : ("BF16" as const), data };
    });
    narrowed[0]!.data = [
      encodeFloats(
        Float32Array.from({ length: narrowed[0]!.shape.reduce((a, b) => a * b) }, (_, i) => i / 4),
        dtype,
      ),
    ];
    await writeSafetensors(join(directory, ADAPTER_WEIGHTS_FILE), narrowed, ADAPTER_METADATA);
    const adapter = await readPeftAdapter(directory, await model("base"));
    expect([...adapter.tensors.get(narrowed[0]!.name)!.subarray(0, 5)]).toEqual([0, 0.25, 0.5, 0.75, 1]);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ["another method", { peft_type: "IA3" }, "adapter.unsupported"],
    ["a pattern that only Python reads", { rank_pattern: { "(?P<q>q)_proj": 4 } }, "adapter.unsupported"],
    ["another rank by pattern than the tensors'", { rank_pattern: { q_proj: 3 } }, "adapter.wrong-tensors"],
    ["saved modules", { modules_to_save: ["lm_head"] }, "adapter.unsupported"],
    ["biases", { bias: "all" }, "adapter.unsupported"],
    ["LoRA biases", { lora_bias: true }, "adapter.unsupported"],
    ["DoRA", { use_dora: true }, "adapter.unsupported"],
    ["an initialisation that changes the base", { init_lora_weights: "pissa" }, "adapter.unsupported"],
    ["another task", { task_type: "SEQ_CLS" }, "adapter.unsupported"],
    ["a feature that we have never heard of", { hyper_lora: { n: 1 } }, "adapter.unsupported"],
    ["a missing rank", { r: undefined }, "adapter.invalid-config"],
    ["an alpha of zero", { lora_alpha: 0 }, "adapter.invalid-config"],
    ["a flag that is no flag", { use_rslora: "no" }, "adapter.invalid-config"],
    ["another rank than the tensors'", { r: 3 }, "adapter.wrong-tensors"],
  ])("refuses %s", async (_, change, code) => {
    const { directory, config } = await copy();
    await writeFile(join(directory, ADAPTER_CONFIG_FILE), JSON.stringify({ ...config, ...change }));
    const [diagnostic] = await diagnosticsOf(async () => readPeftAdapter(directory, await model("base")));
    expect(diagnostic).toMatchObject({ code, where: { file: expect.stringContaining(directory) } });
  });

  it("takes older configs, plain initialisations and any target pattern", async () => {
    const { directory, config } = await copy();
    const { velora_config: _, ...older } = config;
    const change = {
      init_lora_weights: "gaussian",
      target_modules: ".*_proj",
      modules_to_save: [],
      peft_version: "0.9.0",
    };
    await writeFile(join(directory, ADAPTER_CONFIG_FILE), JSON.stringify({ ...older, ...change }));
    expect((await readPeftAdapter(directory, await model("base"))).config.targets).toHaveLength(7);
  });

  it("knows rank and scaling of each module of each layer", async () => {
    const { config, layers } = await readPeftAdapter(
      join(GOLDEN, "patterns/adapter"),
      await model("patterns"),
    );
    expect(config).toMatchObject({
      rank_pattern: [
        ["model.layers.1.self_attn.q_proj", 5],
        ["v_proj", 3],
      ],
      alpha_pattern: [["(layers.0.mlp.up|layers.1.self_attn.v)_proj", 7]],
    });
    expect(layers.map((layer) => Object.fromEntries(layer))).toEqual([
      {
        q_proj: { rank: 2, scaling: 4 / 2 },
        v_proj: { rank: 3, scaling: 4 / 3 },
        up_proj: { rank: 2, scaling: 7 / 2 },
      },
      {
        q_proj: { rank: 5, scaling: 4 / 5 },
        v_proj: { rank: 3, scaling: 7 / 3 },
        up_proj: { rank: 2, scaling: 4 / 2 },
        down_proj: { rank: 2, scaling: 4 / 2 },
      },
      {},
    ]);
  });

  it("warns of dropout", async () => {
    const { directory, config } = await copy();
    await writeFile(join(directory, ADAPTER_CONFIG_FILE), JSON.stringify({ ...config, lora_dropout: 0.05 }));
    const { diagnostics } = await readPeftAdapter(directory, await model("base"));
    expect(diagnostics).toMatchObject([{ code: "adapter.dropout", severity: "warning" }]);
  });

  it("refuses an adapter that is not there, or that is not JSON", async () => {
    const { directory } = await copy();
    const read = async (path: string) => codesOf(async () => readPeftAdapter(path, await model("base")));
    expect(await read(join(directory, "absent"))).toEqual(["adapter.not-found"]);
    await rm(join(directory, ADAPTER_WEIGHTS_FILE));
    expect(await read(directory)).toEqual(["adapter.not-found"]);
    await writeFile(join(directory, ADAPTER_CONFIG_FILE), "{");
    expect(await read(directory)).toEqual(["model.syntax"]);
  });

  it.each<[string, (tensors: TensorData[]) => TensorData[], string]>([
    ["no tensors", () => [], "adapter.wrong-tensors"],
    ["a missing factor", (tensors) => tensors.slice(1), "adapter.wrong-tensors"],
    [
      "a layer too many",
      ([first, ...rest]) => [
        { ...first!, name: first!.name.replace("layers.0", "layers.9") },
        first!,
        ...rest,
      ],
      "adapter.wrong-tensors",
    ],
    [
      "a factor turned round",
      ([first, ...rest]) => [{ ...first!, shape: first!.shape.toReversed() }, ...rest],
      "adapter.wrong-tensors",
    ],
    ["integers", ([first, ...rest]) => [{ ...first!, dtype: "I32" }, ...rest], "adapter.wrong-tensors"],
    [
      "NaN",
      ([first, ...rest]) => [
        { ...first!, data: [Buffer.from([...first!.data][0]!.map(() => 0xff))] },
        ...rest,
      ],
      "adapter.wrong-tensors",
    ],
    [
      "an adapted head",
      ([first, ...rest]) => [{ ...first!, name: "base_model.model.lm_head.lora_A.weight" }, ...rest],
      "adapter.unsupported",
    ],
    [
      "a factor of no linear",
      ([first, ...rest]) => [{ ...first!, name: first!.name.replace("down_proj", "side_proj") }, ...rest],
      "adapter.unsupported",
    ],
  ])("refuses %s", async (_, damage, code) => {
    const { directory, tensors } = await copy();
    await writeSafetensors(join(directory, ADAPTER_WEIGHTS_FILE), damage(tensors), ADAPTER_METADATA);
    expect(await codesOf(async () => readPeftAdapter(directory, await model("base")))).toEqual([code]);
  });
});
