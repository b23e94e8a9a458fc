/**
 * Half-block units: a model whose blocks are cut into the stages that their graphs declare (for Llama attention and
 * MLP), so that half as many weight bytes have to be in memory at once. To everything behind this file the stages are
 * just shorter blocks. The price is stated by the chain itself: the value between two stages becomes a boundary
 * activation like any other, touched once forward and once backward.
 *
 * The calls are the same in the same order, so no bit of a result depends on the cut.
 */
import { invariant } from "../../schemas/diagnostic.ts";
import type { Graph, GraphCall, GraphStage, GraphValue } from "../../schemas/graph.ts";
import type { BlockDescription, ModelDescription } from "../../schemas/inputs.ts";

/** The model in stages, or null when none of its graphs has several. */
export function splitBlocks(model: ModelDescription): ModelDescription | null {
  if (model.graphs.every(({ stages }) => stages.length < 2)) return null;
  const { graphs, cut } = splitGraphs(model.graphs);
  const generation = model.generation && {
    ...model.generation,
    prefills: model.generation.prefills.map((step) => ({ ...step, graphs: splitGraphs(step.graphs).graphs })),
  };
  const blocks = model.blocks.flatMap((block) =>
    cut[block.graph]!.map(({ name, graph }) => stageBlock(block, name, graph, graphs[graph]!)),
  );
  return { ...model, graphs, blocks, generation };
}

/** The stages of all graphs, and for each graph the names of its stages with their positions among those. */
function splitGraphs(whole: readonly Graph[]): {
  readonly graphs: readonly Graph[];
  readonly cut: readonly (readonly { readonly name: string; readonly graph: number }[])[];
} {
  const graphs: Graph[] = [];
  const cut = whole.map((graph) => {
    const stages = graph.stages.length < 2 ? [wholeGraph(graph)] : graph.stages;
    return stages.map((stage, index) => {
      const position = graphs.push(stageGraph(graph, stages, index)) - 1;
      return { name: stage.name, graph: position };
    });
  });
  return { graphs, cut };
}

function wholeGraph(graph: Graph): GraphStage {
  return { name: "block", end: graph.calls.length, output: "y" };
}

function stageBlock(
  block: BlockDescription,
  stage: string,
  graph: number,
  { values }: Graph,
): BlockDescription {
  const weights = Object.entries(block.weights).filter(([local]) => values[local] !== undefined);
  const parameters = block.parameters.filter(({ local }) => values[local] !== undefined);
  return { ...block, graph, stage, weights: Object.fromEntries(weights), parameters };
}

/** Calls and values of one stage; what it takes over is called `x`, what it hands on `y`, as in any block. */
function stageGraph(graph: Graph, stages: readonly GraphStage[], index: number): Graph {
  const start = stages[index - 1]?.end ?? 0;
  const { name, end, output } = stages[index]!;
  const input = stages[index - 1]?.output ?? "x";
  const rename = (value: string) => (value === input ? "x" : value === output ? "y" : value);
  const values: Record<string, GraphValue> = {};
  const adopt = (value: string): string => {
    const known = graph.values[value]!;
    invariant(index === 0 || value !== "x", `stage ${name} reads the input of the whole block`);
    const own = rename(value);
    if (values[own] === undefined) {
      const origin = own === "x" || own === "y" ? ({ kind: "input" } as const) : known.origin;
      values[own] = { ...known, name: own, origin };
      if (origin.kind === "view")
        values[own] = { ...values[own], origin: { kind: "view", of: adopt(origin.of) } };
    }
    return own;
  };
  const calls = graph.calls.slice(start, end).map(
    (call): GraphCall => ({
      ...call,
      operands: Object.fromEntries(
        Object.entries(call.operands).map(([operand, bound]) => [
          operand,
          { ...bound, value: adopt(bound.value) },
        ]),
      ),
    }),
  );
  const elsewhere = [...graph.calls.slice(0, start), ...graph.calls.slice(end)];
  const foreign = new Set(
    elsewhere.flatMap(({ operands }) => Object.values(operands).map(({ value }) => value)),
  );
  for (const { origin, name: value } of Object.values(values)) {
    invariant(
      origin.kind !== "temporary" || !foreign.has(value),
      `stage ${name} shares ${value} with another stage`,
    );
  }
  return { values, calls, stages: [] };
}
