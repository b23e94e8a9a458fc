import { describe, expect, it } from "vitest";
import type { LlamaConfig } from "../../models/llama.ts";
import {
  initLora,
  loraParameters,
  loraScaling,
  peftName,
  resolveTargets,
  uniformLora,
} from "../../models/lora.ts";

const config = {
  layers: 1,
  hiddenSize: 64,
  intermediateSize: 96,
  heads: 4,
  keyValueHeads: 2,
  headDim: 16,
} as LlamaConfig;

describe("loraScaling", () => {
  it("divides by the rank, or by its root", () => {
    expect(loraScaling({ rank: 16, alpha: 32, rslora: false })).toBe(2);
    expect(loraScaling({ rank: 16, alpha: 32, rslora: true })).toBe(8);
  });
});

describe("resolveTargets", () => {
  it("puts targets in the order of the block", () => {
    expect(resolveTargets("all-linear").targets).toHaveLength(7);
    expect(resolveTargets(["v_proj", "q_proj", "q_proj"])).toEqual({
      targets: ["q_proj", "v_proj"],
      diagnostics: [],
    });
  });

  it("refuses what is not a linear layer, with a suggestion", () => {
    const { diagnostics } = resolveTargets(["q_prj", "lm_head"]);
    expect(diagnostics).toMatchObject([
      { code: "adapter.bad-target", hint: "did you mean q_proj?" },
      { code: "adapter.bad-target", hint: expect.stringContaining("all-linear") },
    ]);
  });
});

describe("loraParameters", () => {
  it("gives both factors of each target in PEFT's names and shapes", () => {
    const lora = { rank: 8, alpha: 8, rslora: false, targets: ["k_proj", "down_proj"] } as const;
    const layer = uniformLora(4, lora).layers[3]!;
    expect(loraParameters(config, 3, layer)).toEqual([
      { local: "k_proj.lora_A", name: peftName(3, "k_proj", "A"), shape: [8, 64], init: "kaiming-uniform" },
      { local: "k_proj.lora_B", name: peftName(3, "k_proj", "B"), shape: [32, 8], init: "zeros" },
      {
        local: "down_proj.lora_A",
        name: peftName(3, "down_proj", "A"),
        shape: [8, 96],
        init: "kaiming-uniform",
      },
      { local: "down_proj.lora_B", name: peftName(3, "down_proj", "B"), shape: [64, 8], init: "zeros" },
    ]);
    expect(peftName(3, "k_proj", "A")).toBe("base_model.model.model.layers.3.self_attn.k_proj.lora_A.weight");
    expect(peftName(0, "up_proj", "B")).toBe("base_model.model.model.layers.0.mlp.up_proj.lora_B.weight");
  });
});

describe("initLora", () => {
  const a = { name: "x.lora_A", shape: [16, 400], init: "kaiming-uniform" } as const;

  it("draws A uniformly in ±1/√columns, and B is zero", () => {
    const values = initLora(1, a);
    expect(values).toHaveLength(6400);
    const bound = 1 / Math.sqrt(400);
    expect(Math.max(...values)).toBeLessThan(bound);
    expect(Math.max(...values)).toBeGreaterThan(0.99 * bound);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(-bound);
    const variance = values.reduce((sum, x) => sum + x * x, 0) / values.length;
    expect(variance / (bound ** 2 / 3)).toBeCloseTo(1, 1);
    expect(initLora(1, { ...a, init: "zeros" }).every((x) => x === 0)).toBe(true);
  });

  it("depends on seed and name only, and never changes: saved runs depend on it", () => {
    expect(initLora(1, a)).toEqual(initLora(1, a));
    expect(initLora(2, a)).not.toEqual(initLora(1, a));
    expect(initLora(1, { ...a, name: "y.lora_A" })).not.toEqual(initLora(1, a));
    const bits = [...new Uint32Array(initLora(42, { ...a, shape: [1, 3] }).buffer)];
    expect(bits.map((word) => word.toString(16))).toEqual(["bd87a026", "3eb4b1bd", "be3dd364"]);
  });
});
