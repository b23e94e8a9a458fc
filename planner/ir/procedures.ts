/**
 * The procedures of a plan: what each compute task runs. Identical layers share them.
 *
 *   tables                          rope tables of a micro-batch
 *   embed                           rows of the embedding table → residual stream
 *   block.forward[.saving]          one block, or one stage of it under its own name; `saving` keeps what the backward
 *                                   reads in the formal `saved`
 *   block.backward[.saved]          recompute (or read `saved`), then gradients
 *   block.zero, .squares, .update   work on the block's adapter
 *   head.begin, head.tile/N, head.finish     norm, one head chunk, loss and gradient; `.loss` variants: loss alone
 *   step.loss, step.norm            reductions over the step
 */
import { type Graph, GraphBuilder, type GraphCall, type GraphValue } from "../../schemas/graph.ts";
import type { CommonInputs, Inputs } from "../../schemas/inputs.ts";
import { dtypeBytes } from "../../schemas/ops/define-op.ts";
import type { PlanProcedure } from "../../schemas/plan.ts";
import { type Differentiated, differentiate, gradientName, STREAM_GRADIENT } from "./differentiate.ts";
import {
  ALIGNMENT,
  buildProcedure,
  layoutRegion,
  type ProcedureSource,
  type RegionLayout,
  savedValues,
  valueBytes,
} from "./procedure.ts";
import type { Shape } from "./schedule.ts";
import { tensorByName, type Units } from "./units.ts";

export interface Procedures {
  readonly all: readonly PlanProcedure[];
  /** Layout of `saved` per graph. */
  readonly saved: readonly RegionLayout[];
}

/** The part of a shape that procedures depend on. */
export interface ProcedureShape {
  readonly microBatch: number;
  readonly embedding: Shape["embedding"];
}

/** What does not depend on the shape: the derivatives of all graphs. */
export interface Derivatives {
  readonly blocks: readonly Differentiated[];
  readonly norm: Differentiated;
}

export function differentiateAll({ model }: Inputs): Derivatives {
  const ends = { input: "x", output: "y" };
  return {
    blocks: model.graphs.map((graph) => differentiate(graph, ends)),
    norm: differentiate(model.norm.graph, ends),
  };
}

/**
 * Procedures that a plan does not use are left out of it. What works on all of a step is the same for every shape: it is
 * taken from those of `another`.
 */
export function buildProcedures(
  inputs: Inputs,
  units: Units,
  derivatives: Derivatives,
  shape: ProcedureShape,
  another: Procedures | undefined,
): Procedures {
  const { model } = inputs;
  const build = builder(inputs, shape);
  const ofStep: Build = (id, graph) => another?.all.find((one) => one.id === id) ?? build(id, graph);
  const all: PlanProcedure[] = [build("tables", model.tables), buildEmbed(inputs, shape)];
  const saved: RegionLayout[] = [];
  model.graphs.forEach((graph, index) => {
    const name = units.graphNames[index]!;
    const adapter = units.adapters[index]!;
    const regions = { weights: units.weights[index]!, adapter, gradient: adapter };
    const { values, recompute, backward } = derivatives.blocks[index]!;
    const kept = savedValues(values, graph.calls, backward);
    const region = layoutRegion(
      kept.map((value) => ({ name: value.name, bytes: valueBytes(value, shape.microBatch) })),
      ALIGNMENT,
    );
    saved.push(region);
    all.push(
      build(`${name}.forward`, { ...graph, ...regions }),
      build(`${name}.backward`, { values, calls: [...recompute, ...backward], ...regions }),
      build(`${name}.forward.saving`, { ...graph, ...regions, saved: region }),
      build(`${name}.backward.saved`, { values, calls: backward, ...regions, saved: region }),
    );
    if (adapter.bytes > 0) {
      for (const [work, call] of adapterGraphs(inputs, adapter)) all.push(ofStep(`${name}.${work}`, call));
    }
  });
  for (const gradient of [true, false]) {
    const suffix = gradient ? "" : ".loss";
    all.push(build(`head.begin${suffix}`, { ...headBegin(inputs, gradient), weights: units.normWeights }));
    units.head.forEach((chunk, index) => {
      const region = layoutRegion([{ name: "head", bytes: units.byId.get(chunk.unit)!.bytes }], ALIGNMENT);
      all.push(
        build(`head.tile/${index}${suffix}`, { ...headTile(inputs, chunk, gradient), weights: region }),
      );
    });
  }
  all.push(build("head.finish", { ...headFinish(inputs, derivatives.norm), weights: units.normWeights }));
  all.push(build("head.finish.loss", headFinishLoss(inputs)));
  all.push(ofStep("step.loss", stepLoss(inputs)));
  const parameters = model.blocks.reduce((sum, block) => sum + block.parameters.length, 0);
  if (parameters > 0) all.push(ofStep("step.norm", stepNorm(inputs, parameters)));
  return { all, saved };
}

/** The same with an embedding that stays elsewhere: all else is shared with those of the same micro-batch. */
export function withEmbedding(inputs: Inputs, { all, saved }: Procedures, shape: ProcedureShape): Procedures {
  const embed = buildEmbed(inputs, shape);
  return { all: all.map((procedure) => (procedure.id === embed.id ? embed : procedure)), saved };
}

function buildEmbed(inputs: Inputs, shape: ProcedureShape): PlanProcedure {
  return builder(inputs, shape)("embed", embedGraph(inputs, shape.embedding, inputs.recipe.sequence.length));
}

type Build = (id: string, graph: Omit<ProcedureSource, "id" | "batch" | "threads">) => PlanProcedure;

function builder({ hardware }: Inputs, { microBatch }: ProcedureShape): Build {
  const common = { batch: microBatch, threads: hardware.compute.threads ?? 1 };
  return (id, graph) => buildProcedure({ id, ...common, ...graph });
}

const input = { origin: { kind: "input" } } as const;

/** Rows of the embedding table for `S` positions, from the resident table or gathered. */
export function embedGraph(
  inputs: CommonInputs,
  embedding: Shape["embedding"],
  S: number,
): Pick<Graph, "values" | "calls"> & { weights?: RegionLayout } {
  const H = inputs.model.hidden;
  const table = tensorByName(inputs, inputs.model.embedding);
  const g = new GraphBuilder();
  g.value("y", ["B", S, H], "f32", input);
  if (embedding === "gather") {
    g.value("rows", ["B", S, H], table.storage, input);
    g.call("convert", { x: "rows", y: "y" });
    return g.finish();
  }
  g.value("tokens", ["B", S], "i32", input);
  g.value("table", table.shape as [number, number], table.storage, { origin: { kind: "weight" } });
  g.call("embedding", { tokens: "tokens", table: "table", x: "y" });
  return { ...g.finish(), weights: layoutRegion([{ name: "table", bytes: table.bytes }], ALIGNMENT) };
}

/** State of the online softmax of a micro-batch. */
function headState(g: GraphBuilder, inputs: Inputs, gradient: boolean): void {
  const S = inputs.recipe.sequence.length;
  const H = inputs.model.hidden;
  for (const name of ["maximum", "sum", "label_logit"]) g.value(name, ["B", S], "f32", input);
  if (gradient) for (const name of ["expected_row", "label_row"]) g.value(name, ["B", S, H], "f32", input);
}

function headBegin(inputs: Inputs, gradient: boolean): Pick<Graph, "values" | "calls"> {
  const g = new GraphBuilder();
  headState(g, inputs, gradient);
  g.call("fill", { y: "maximum" }, { value: Number.NEGATIVE_INFINITY });
  for (const name of ["sum", "label_logit", ...(gradient ? ["expected_row", "label_row"] : [])]) {
    g.call("fill", { y: name }, { value: 0 });
  }
  const { graph } = inputs.model.norm;
  const state = g.finish();
  return { values: { ...graph.values, ...state.values }, calls: [...graph.calls, ...state.calls] };
}

function headTile(inputs: Inputs, chunk: { firstRow: number; rows: number }, gradient: boolean): Graph {
  const { row_tile, vocabulary_tile, f16_factors, activation } = inputs.numerics;
  const S = inputs.recipe.sequence.length;
  const H = inputs.model.hidden;
  const { storage } = tensorByName(inputs, inputs.model.head);
  const g = new GraphBuilder();
  headState(g, inputs, gradient);
  g.value("x", ["B", S, H], activation, input);
  g.value("labels", ["B", S], "i32", input);
  g.value("head", [chunk.rows, H], storage, { origin: { kind: "weight" } });
  g.call(
    "cross_entropy_tile",
    {
      x: "x",
      w: "head",
      labels: "labels",
      maximum: "maximum",
      sum: "sum",
      label_logit: "label_logit",
      ...(gradient && { expected_row: "expected_row", label_row: "label_row" }),
    },
    { first_row: chunk.firstRow, vocabulary_tile, row_tile, f16_factors },
  );
  return g.finish();
}

function finishCall(g: GraphBuilder, inputs: Inputs, gradient: boolean): void {
  const S = inputs.recipe.sequence.length;
  headState(g, inputs, gradient);
  g.value("labels", ["B", S], "i32", input);
  g.value("inverse_tokens", [1], "f32", input);
  g.value("losses", ["B", S], "f32", input);
  if (gradient) g.value(STREAM_GRADIENT, ["B", S, inputs.model.hidden], "f32", input);
  g.call("cross_entropy_finish", {
    labels: "labels",
    maximum: "maximum",
    sum: "sum",
    label_logit: "label_logit",
    inverse_tokens: "inverse_tokens",
    losses: "losses",
    ...(gradient && { expected_row: "expected_row", label_row: "label_row", dx: STREAM_GRADIENT }),
  });
}

/** Loss and its gradient, carried back through the final norm into the residual stream. */
function headFinish(
  inputs: Inputs,
  norm: Differentiated,
): {
  values: Readonly<Record<string, GraphValue>>;
  calls: readonly GraphCall[];
} {
  const g = new GraphBuilder();
  finishCall(g, inputs, true);
  const finish = g.finish();
  return {
    values: { ...norm.values, ...finish.values },
    calls: [...finish.calls, ...norm.recompute, ...norm.backward],
  };
}

function headFinishLoss(inputs: Inputs): Graph {
  const g = new GraphBuilder();
  finishCall(g, inputs, false);
  return g.finish();
}

function stepLoss(inputs: Inputs): Graph {
  const g = new GraphBuilder();
  g.value("losses", [inputs.recipe.training.batch_size, inputs.recipe.sequence.length], "f32", input);
  g.value("inverse_tokens", [1], "f32", input);
  g.value("loss", [1], "f64", input);
  g.call("reduce_loss", { losses: "losses", inverse_tokens: "inverse_tokens", loss: "loss" });
  return g.finish();
}

/** Global norm over one sum of squares per parameter. */
function stepNorm(inputs: Inputs, parameters: number): Graph {
  const g = new GraphBuilder();
  g.value("squares", [parameters], "f64", input);
  g.value("norm", [1], "f64", input);
  g.value("clip", [1], "f32", input);
  g.value("skip", [1], "i32", input);
  const max_norm = inputs.recipe.training.max_grad_norm ?? 0;
  g.call("grad_norm", { squares: "squares", norm: "norm", clip: "clip", skip: "skip" }, { max_norm });
  return g.finish();
}

type AdapterWork = Pick<ProcedureSource, "values" | "calls" | "gradient" | "squares">;

/**
 * Work on a block's adapter. Zeroing and update take it as one dense vector; squares are summed parameter by
 * parameter, so that the norm's bits do not depend on what moves together.
 */
function adapterGraphs(inputs: Inputs, region: RegionLayout): readonly (readonly [string, AdapterWork])[] {
  const { betas, eps } = inputs.recipe.training.optimizer;
  const count = region.bytes / dtypeBytes.f32;
  const zero = new GraphBuilder();
  zero.value("gradient", [count], "f32", input);
  zero.call("fill", { y: "gradient" }, { value: 0 });
  const squares = new GraphBuilder();
  const names = [...region.offsets.keys()];
  const ends = [...[...region.offsets.values()].slice(1), region.bytes];
  names.forEach((name, index) => {
    const elements = (ends[index]! - region.offsets.get(name)!) / dtypeBytes.f32;
    squares.value(gradientName(name), [elements], "f32", { origin: { kind: "gradient" } });
    squares.value(`square/${name}`, [1], "f64", { origin: { kind: "square" } });
    squares.call("square_sum", { x: gradientName(name), y: `square/${name}` });
  });
  const places = layoutRegion(
    names.map((name) => ({ name: `square/${name}`, bytes: dtypeBytes.f64 })),
    dtypeBytes.f64,
  );
  const update = new GraphBuilder();
  for (const name of ["param", "grad", "first_moment", "second_moment"])
    update.value(name, [count], "f32", input);
  for (const name of ["clip", "step_size", "decay", "bias_correction"]) update.value(name, [1], "f32", input);
  update.value("skip", [1], "i32", input);
  const operands = [
    "param",
    "grad",
    "first_moment",
    "second_moment",
    "clip",
    "skip",
    "step_size",
    "decay",
    "bias_correction",
  ] as const;
  update.call("adamw", Object.fromEntries(operands.map((name) => [name, name])), {
    beta1: betas[0],
    beta2: betas[1],
    epsilon: eps,
  });
  return [
    ["zero", zero.finish()],
    ["squares", { ...squares.finish(), gradient: region, squares: places }],
    ["update", update.finish()],
  ];
}
