/**
 * Autodiff against finite differences, through the whole engine: the shipped block, and a block with another wiring
 * (attention and MLP in parallel on one norm, as in GPT-J) for which no backward code exists anywhere.
 */
import { describe, expect, it } from "vitest";
import { stepInputs } from "../../data/order.ts";
import { type LlamaConfig, readLlamaConfig } from "../../models/llama.ts";
import { writeInitialState } from "../../runtime/initial-state.ts";
import { scalarsOf } from "../../runtime/scalars.ts";
import { PlanSession } from "../../runtime/session.ts";
import { counterRandom } from "../../schemas/counter-rng.ts";
import { type Graph, GraphBuilder } from "../../schemas/graph.ts";
import type { Inputs } from "../../schemas/inputs.ts";
import { caseInputs, type ParityCase, readCase } from "./case.ts";
import { mustCompile } from "./run-case.ts";

/** y = x + attention(norm(x)) + mlp(norm(x)), LoRA on every linear. */
function parallelBlock(inputs: Inputs, config: LlamaConfig): Graph {
  const { row_tile, column_tile, f16_factors } = inputs.numerics;
  const S = inputs.recipe.sequence.length;
  const { hiddenSize: H, heads: N, keyValueHeads: G, headDim: D, intermediateSize: F } = config;
  const g = new GraphBuilder();
  const given = { origin: { kind: "input" } } as const;
  g.value("x", ["B", S, H], "f32", given);
  g.value("cosine", ["B", S, D / 2], "f32", given);
  g.value("sine", ["B", S, D / 2], "f32", given);
  g.value("segment_start", ["B", S], "i32", given);
  g.value("input_layernorm", [H], "f32", { origin: { kind: "weight" } });
  g.value("n", ["B", S, H], "f32");
  g.call("rms_norm", { x: "x", weight: "input_layernorm", y: "n" }, { epsilon: config.rmsNormEps });
  const linear = (x: string, name: string, from: number, to: number) => {
    g.value(name, [to, from], "f32", { origin: { kind: "weight" } });
    g.value(`${name}.y`, ["B", S, to], "f32");
    g.call("linear", { x, w: name, y: `${name}.y` }, { alpha: 1, row_tile, column_tile, f16_factors });
    const { rank, alpha } = inputs.adapter;
    g.value(`${name}.lora_A`, [rank, from], "f32", { origin: { kind: "parameter" } });
    g.value(`${name}.lora_B`, [to, rank], "f32", { origin: { kind: "parameter" } });
    g.value(`${name}.low`, ["B", S, rank], "f32");
    g.call(
      "linear",
      { x, w: `${name}.lora_A`, y: `${name}.low` },
      { alpha: 1, row_tile, column_tile, f16_factors },
    );
    const second = { x: `${name}.low`, w: `${name}.lora_B`, y: { add: `${name}.y` } };
    g.call("linear", second, { alpha: Math.fround(alpha / rank), row_tile, column_tile, f16_factors });
    return `${name}.y`;
  };
  const rotated = (name: string, count: number) => {
    const heads = g.view(linear("n", `${name}_proj`, H, count * D), `${name}.heads`, ["B", S, count, D]);
    g.value(name, ["B", S, count, D], "f32");
    g.call("rope", { x: heads, cosine: "cosine", sine: "sine", y: name }, { direction: 1 });
  };
  rotated("q", N);
  rotated("k", G);
  const v = g.view(linear("n", "v_proj", H, G * D), "v.heads", ["B", S, G, D]);
  g.value("o", ["B", S, N, D], "f32");
  g.value("lse", ["B", N, S], "f32");
  g.call(
    "attention",
    { q: "q", k: "k", v, segment_start: "segment_start", o: "o", log_sum_exp: "lse" },
    { scale: D ** -0.5 },
  );
  const attended = linear(g.view("o", "o.flat", ["B", S, N * D]), "o_proj", N * D, H);
  const gate = linear("n", "gate_proj", H, F);
  const up = linear("n", "up_proj", H, F);
  g.value("activated", ["B", S, F], "f32");
  g.call("swiglu", { gate, up, y: "activated" });
  const mlp = linear("activated", "down_proj", F, H);
  g.value("sum", ["B", S, H], "f32");
  g.call("add", { a: "x", b: attended, y: "sum" });
  g.value("y", ["B", S, H], "f32", given);
  g.call("add", { a: "sum", b: mlp, y: "y" });
  return g.finish();
}

async function withParallelBlocks(parity: ParityCase, inputs: Inputs): Promise<Inputs> {
  const { config } = readLlamaConfig(inputs.model.config as Parameters<typeof readLlamaConfig>[0]);
  const { post_attention_layernorm: _, ...rest } = inputs.model.blocks[0]!.weights;
  expect(Object.keys(rest)).toContain("input_layernorm");
  const blocks = inputs.model.blocks.map((block) => {
    const { post_attention_layernorm: dropped, ...weights } = block.weights;
    expect(dropped, parity.name).toBeDefined();
    return { ...block, weights };
  });
  return { ...inputs, model: { ...inputs.model, graphs: [parallelBlock(inputs, config!)], blocks } };
}

describe.each(["shipped", "parallel"] as const)("the %s block", (wiring) => {
  it("has the directional derivatives of finite differences, parameter by parameter", async () => {
    const parity = await readCase("gqa");
    const plain = await caseInputs(parity, { ram: 2 ** 30 });
    const inputs = wiring === "shipped" ? plain : await withParallelBlocks(parity, plain);
    const plan = mustCompile(inputs);
    const paths = new Map(inputs.model.files.map(({ id, path }) => [id, path]));
    const engine = { backend: "reference", serialLanes: false, diskThrottle: null } as const;
    const session = await PlanSession.open(plan, paths, engine);
    try {
      await writeInitialState(plan, parity.adapter.tensors, session.write.bind(session));
      await session.start();
      const rows = Uint32Array.from({ length: parity.rowsPerStep }, (_, row) => row);
      const data = stepInputs(parity.dataset, rows, parity.rowsPerStep);
      const still = { ...plan.training.optimizer, weight_decay: 0 };
      const scalars = scalarsOf({
        optimizer: still,
        learningRate: 0,
        adamSteps: 0,
        supervisedTokens: data.supervisedTokens,
      });
      await session.step(data, scalars);
      // Read all first: the evaluate program reuses the bytes of gradients.
      const gradients = new Map<string, Float32Array>();
      for (const parameter of plan.parameters) {
        gradients.set(parameter.name, await session.readParameter(parameter, "gradient"));
      }
      for (const parameter of plan.parameters) {
        const gradient = gradients.get(parameter.name)!;
        const value = await session.readParameter(parameter, "value");
        const random = counterRandom(7, parameter.name);
        const norm = Math.sqrt(gradient.reduce((sum, x) => sum + x * x, 0));
        // Mostly along the gradient, so that the difference stands out of the rounding, and partly anywhere.
        const direction = gradient.map(
          (x, i) => x / norm + (random.float(i) - 0.5) / Math.sqrt(gradient.length),
        );
        const expected = gradient.reduce((sum, x, i) => sum + x * direction[i]!, 0);
        const h = 2e-2;
        const lossAt = async (t: number) => {
          const moved = value.map((x, i) => x + t * direction[i]!);
          await session.write(parameter.value, new Uint8Array(moved.buffer));
          return session.evaluate(data);
        };
        const difference = ((await lossAt(h)) - (await lossAt(-h))) / (2 * h);
        await session.write(parameter.value, new Uint8Array(value.slice().buffer));
        expect(Math.abs(difference - expected) / Math.abs(expected), parameter.name).toBeLessThan(1e-2);
      }
    } finally {
      session.close();
    }
  });
});
