import { describe, expect, it } from "vitest";
import { knownShape, knownShapeIds, unknownShape } from "../../models/known-shapes.ts";
import { checkLlamaTensors, readLlamaConfig } from "../../models/llama.ts";

const parameters = (id: string): number =>
  [...knownShape(id)!.tensors.values()].reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b), 0);

describe("knownShape", () => {
  // The parameter counts that the Hub shows for the safetensors of these repositories.
  const published: Readonly<Record<string, number>> = {
    "meta-llama/Llama-2-7b-hf": 6_738_415_616,
    "meta-llama/Llama-2-13b-hf": 13_015_864_320,
    "meta-llama/Llama-2-70b-hf": 68_976_648_192,
    "meta-llama/Meta-Llama-3-8B": 8_030_261_248,
    "meta-llama/Meta-Llama-3-70B": 70_553_706_496,
    "meta-llama/Llama-3.1-8B": 8_030_261_248,
    "meta-llama/Llama-3.1-70B": 70_553_706_496,
    "meta-llama/Llama-3.2-1B": 1_235_814_400,
    "meta-llama/Llama-3.2-3B": 3_212_749_824,
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": 1_100_048_384,
    "HuggingFaceTB/SmolLM-135M": 134_515_008,
    "HuggingFaceTB/SmolLM2-135M": 134_515_008,
    "HuggingFaceTB/SmolLM2-360M": 361_821_120,
    "HuggingFaceTB/SmolLM2-1.7B": 1_711_376_384,
    "mistralai/Mistral-7B-v0.1": 7_241_732_096,
    "mistralai/Mistral-7B-Instruct-v0.2": 7_241_732_096,
    "mistralai/Mistral-7B-v0.3": 7_248_023_552,
  };

  it("is of every model whose size is checked here, and of no other", () => {
    expect(new Set(knownShapeIds().map((id) => knownShape(id)!.id))).toEqual(new Set(Object.keys(published)));
  });

  it.each(Object.entries(published))("%s has %i parameters", (id, count) => {
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

  it("fills the file with its tensors' bytes, behind a header of whole eights", () => {
    const { tensors, file } = knownShape("meta-llama/Llama-2-7b-hf")!;
    const bytes = [...tensors.values()].reduce((sum, tensor) => sum + tensor.bytes, 0);
    expect(bytes).toBe(2 * 6_738_415_616);
    const header = Math.min(...[...tensors.values()].map(({ offset }) => offset));
    expect([file.bytes - bytes, header % 8]).toEqual([header, 0]);
  });

  it("extends Llama 3.1 and 3.2 by their own factors, and keeps the head dimension of 3.2 3B", () => {
    const config = (id: string) => readLlamaConfig(knownShape(id)!.config).config!;
    expect(config("meta-llama/Llama-3.1-8B")).toMatchObject({
      maxPositions: 131072,
      rope: { type: "llama3", theta: 500000, factor: 8, originalMaxPositions: 8192 },
    });
    expect(config("unsloth/Llama-3.2-3B")).toMatchObject({ headDim: 128, rope: { factor: 32 } });
    expect(config("meta-llama/Meta-Llama-3-8B").rope).toEqual({ type: "default", theta: 500000 });
  });

  it("ignores letter case and suggests the nearest name", () => {
    expect(knownShape("nousresearch/llama-2-7B-hf")?.id).toBe("meta-llama/Llama-2-7b-hf");
    expect(knownShape("gpt2")).toBeUndefined();
    expect(unknownShape("NousResearch/Llama2-7b-hf")).toMatchObject({
      code: "model.not-found",
      where: { file: "recipe", path: "model" },
      hint: "did you mean NousResearch/Llama-2-7b-hf?",
    });
    expect(unknownShape("gpt2").hint).toContain("TinyLlama/TinyLlama-1.1B-Chat-v1.0");
  });
});
