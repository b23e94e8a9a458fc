import { describe, expect, it } from "vitest";
import { knownShape, knownShapeIds, unknownShape } from "../../models/known-shapes.ts";
import { checkLlamaTensors, readLlamaConfig } from "../../models/llama.ts";

const parameters = (id: string): number =>
  [...knownShape(id)!.tensors.values()].reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b), 0);

describe("knownShape", () => {
  // The parameter counts that Transformers reports for these models.
  it.each([
    ["meta-llama/Llama-2-7b-hf", 6_738_415_616],
    ["meta-llama/Llama-2-13b-hf", 13_015_864_320],
    ["meta-llama/Llama-2-70b-hf", 68_976_648_192],
    ["meta-llama/Meta-Llama-3-8B", 8_030_261_248],
    ["meta-llama/Meta-Llama-3-70B", 70_553_706_496],
    ["TinyLlama/TinyLlama-1.1B-Chat-v1.0", 1_100_048_384],
    ["mistralai/Mistral-7B-v0.3", 7_248_023_552],
    ["HuggingFaceTB/SmolLM-135M", 134_515_008],
  ])("%s has %i parameters", (id, count) => {
    expect(parameters(id)).toBe(count);
  });

  it("is a checkpoint that passes the checks", () => {
    for (const id of knownShapeIds()) {
      const shape = knownShape(id)!;
      const { config, diagnostics } = readLlamaConfig(shape.config);
      expect(diagnostics).toEqual([]);
      expect(checkLlamaTensors(shape, config!)).toEqual([]);
      const last = [...shape.tensors.values()].at(-1)!;
      expect(last.offset + last.bytes).toBe(shape.file.bytes);
    }
  });

  it("ignores letter case and suggests the nearest name", () => {
    expect(knownShape("nousresearch/llama-2-7B-hf")?.id).toBe("meta-llama/Llama-2-7b-hf");
    expect(knownShape("gpt2")).toBeUndefined();
    expect(unknownShape("NousResearch/Llama2-7b-hf")).toMatchObject({
      code: "model.not-found",
      hint: "did you mean NousResearch/Llama-2-7b-hf?",
    });
    expect(unknownShape("gpt2").hint).toContain("TinyLlama/TinyLlama-1.1B-Chat-v1.0");
  });
});
