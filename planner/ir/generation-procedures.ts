/**
 * The procedures of a generation plan; those over a chunk of positions end with `.prefill`.
 *
 *   tables, embed          rope tables, and rows of the embedding table → residual stream
 *   block.forward          one block, or one stage of it under its own name, over its cache
 *   block.zero             empties a block's cache
 *   head.begin             norm of the last new position
 *   head.tile/N            its product with one head chunk: a part of the logits
 */

import { invariant } from "../../schemas/diagnostic.ts";
import { GraphBuilder } from "../../schemas/graph.ts";
import type { CommonInputs, StepGraphs } from "../../schemas/inputs.ts";
import { elements } from "../../schemas/ops/define-op.ts";
import type { PlanProcedure } from "../../schemas/plan.ts";
import { PREFILL } from "./generation-context.ts";
import { ALIGNMENT, buildProcedure, layoutRegion, type ProcedureSource } from "./procedure.ts";
import { embedGraph, type Procedures } from "./procedures.ts";
import type { Shape } from "./schedule.ts";
import { type HeadChunk, tensorByName, type Units } from "./units.ts";

export function buildGenerationProcedures(inputs: CommonInputs, units: Units, shape: Shape): Procedures {
  const { model, hardware } = inputs;
  const common = { batch: 1, threads: hardware.compute.threads ?? 1 };
  const build = (id: string, graph: Omit<ProcedureSource, "id" | "batch" | "threads">) =>
    buildProcedure({ id, ...common, ...graph });
  const decode = { rows: 1, tables: model.tables, graphs: model.graphs, norm: model.norm.graph };
  const prefill = model.generation?.prefills.find(({ rows }) => rows === shape.chunk);
  invariant(prefill, `the model has no graphs for ${shape.chunk} positions`);
  const phase = ({ rows, tables, graphs, norm }: StepGraphs, suffix: string): readonly PlanProcedure[] => [
    build(`tables${suffix}`, tables),
    build(`embed${suffix}`, embedGraph(inputs, shape.embedding, rows)),
    ...graphs.map((graph, index) => {
      const regions = { weights: units.weights[index]!, adapter: units.adapters[index]! };
      return build(`${units.graphNames[index]!}.forward${suffix}`, { ...graph, ...regions });
    }),
    build(`head.begin${suffix}`, { ...norm, weights: units.normWeights }),
  ];
  const zeroes = model.graphs.flatMap(({ values }, index) => {
    const { k_cache: keys } = values;
    if (keys === undefined) return [];
    const count = 2 * elements(keys.shape.map((dim) => (dim === "B" ? 1 : dim)));
    return [build(`${units.graphNames[index]!}.zero`, zeroed(count))];
  });
  const tiles = units.head.map((chunk, index) => {
    const region = layoutRegion([{ name: "head", bytes: units.byId.get(chunk.unit)!.bytes }], ALIGNMENT);
    return build(`head.tile/${index}`, { ...headTile(inputs, chunk), weights: region });
  });
  return { all: [...phase(decode, ""), ...phase(prefill, PREFILL), ...zeroes, ...tiles], saved: [] };
}

const input = { origin: { kind: "input" } } as const;

function zeroed(count: number): Pick<ProcedureSource, "values" | "calls"> {
  const g = new GraphBuilder();
  g.value("cache", [count], "f32", input);
  g.call("fill", { y: "cache" }, { value: 0 });
  return g.finish();
}

function headTile(inputs: CommonInputs, { rows }: HeadChunk): Pick<ProcedureSource, "values" | "calls"> {
  const { row_tile, column_tile, f16_factors, activation } = inputs.numerics;
  const { hidden, head } = inputs.model;
  const g = new GraphBuilder();
  g.value("x", ["B", 1, hidden], activation, input);
  g.value("head", [rows, hidden], tensorByName(inputs, head).storage, { origin: { kind: "weight" } });
  g.value("logits", ["B", 1, rows], "f32", input);
  g.call("linear", { x: "x", w: "head", y: "logits" }, { alpha: 1, row_tile, column_tile, f16_factors });
  return g.finish();
}
