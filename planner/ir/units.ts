/**
 * Units: the weights that move together, with the place of every tensor inside a slot.
 *
 * Blocks (or the same stage of blocks) that weigh the same form a class and take turns in the same slots, so no slot is
 * larger than what it holds; those that run the same graph also share procedures. The head is cut into chunks of whole
 * vocabulary tiles, so that its bits do not depend on the cut; a chunk is used once a step, after the last forward, and
 * waits for that in slots that live only then.
 */
import { invariant } from "../../schemas/diagnostic.ts";
import type { BlockDescription, CommonInputs, InputTensor } from "../../schemas/inputs.ts";
import { dtypeBytes, tensorBytes } from "../../schemas/ops/define-op.ts";
import type { PlanUnit } from "../../schemas/plan.ts";
import { ALIGNMENT, layoutRegion, type RegionLayout } from "./procedure.ts";

export interface HeadChunk {
  readonly unit: string;
  readonly firstRow: number;
  readonly rows: number;
}

export interface Units {
  /** In order of use: blocks, norm, head chunks, embedding. */
  readonly all: readonly PlanUnit[];
  readonly byId: ReadonlyMap<string, PlanUnit>;
  /** The units, those whose transfers through ram are largest first. */
  readonly byTransfer: readonly string[];
  /** How each unit moves through ram. */
  readonly throughRam: ReadonlyMap<string, ThroughRam>;
  /** Unit id of each block. */
  readonly blocks: readonly string[];
  /** Units of each class that take turns in slots, by the name of the class; the head's chunks are one. */
  readonly classes: ReadonlyMap<string, readonly string[]>;
  /** Name of each graph in its procedures: `block`, or the stage, numbered when several graphs share it. */
  readonly graphNames: readonly string[];
  /** Slot layout of each graph's weights, by graph index. */
  readonly weights: readonly RegionLayout[];
  /** Dense layout of each graph's adapter parameters, and so of their gradients and moments. */
  readonly adapters: readonly RegionLayout[];
  /** Index of each block's first parameter in the order of PEFT's file. */
  readonly firstParameter: readonly number[];
  readonly norm: string;
  readonly normWeights: RegionLayout;
  readonly head: readonly HeadChunk[];
  readonly embedding: string;
}

export function tensorByName(inputs: CommonInputs, name: string): InputTensor {
  const tensor = inputs.model.tensors.find((candidate) => candidate.name === name);
  invariant(tensor, `the model has no tensor ${name}`);
  return tensor;
}

/** `L07`, or `L07.mlp` for a stage; as many digits as the deepest layer needs, so that ids sort by layer. */
function blockId({ layer, stage }: BlockDescription, layers: number): string {
  const number = `L${String(layer).padStart(Math.max(2, String(layers - 1).length), "0")}`;
  return stage === null ? number : `${number}.${stage}`;
}

/** The order of tensors in a safetensors file; names are ASCII. */
export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/** The class of the head's chunks. */
export const HEAD_CLASS = "head";
/** Chunks this small fit where a block's scratch was, at the price of more instructions. */
const HEAD_CHUNKS_PER_UNIT = 6;

export function buildUnits(inputs: CommonInputs): Units {
  const { model } = inputs;
  const weights = model.graphs.map((_, graph) => {
    const block = model.blocks.find((candidate) => candidate.graph === graph);
    invariant(block, `graph ${graph} has no block`);
    return regionOf(inputs, block.weights);
  });
  const adapters = model.graphs.map((_, graph) => {
    const block = model.blocks.find((candidate) => candidate.graph === graph)!;
    // In the order of PEFT's file, so that a checkpoint is whole buffers and yet the file that PEFT would write.
    const inFileOrder = block.parameters.toSorted(byName);
    return layoutRegion(
      inFileOrder.map(({ local, shape }) => ({ name: local, bytes: tensorBytes(shape, "f32") })),
      dtypeBytes.f32,
    );
  });
  const layers = Math.max(...model.blocks.map(({ layer }) => layer)) + 1;
  const blocks = model.blocks.map((block): PlanUnit => {
    return unitOf(blockId(block, layers), "block", inputs, block.weights, weights[block.graph]!);
  });
  const graphNames = namesOfGraphs(inputs);
  const normWeights = regionOf(inputs, model.norm.weights);
  const norm = unitOf("norm", "norm", inputs, model.norm.weights, normWeights);
  const largest = Math.max(...blocks.map((block) => block.bytes));
  const { units: headUnits, chunks } = cutHead(inputs, largest / HEAD_CHUNKS_PER_UNIT);
  const classes = classesOf(blocks, (index) => {
    const { stage, graph } = model.blocks[index]!;
    return { stage, name: graphNames[graph]! };
  });
  classes.set(
    HEAD_CLASS,
    headUnits.map(({ id }) => id),
  );
  const embedding = tableUnit(inputs, Math.max(...blocks.map(largestPart)));
  const all = [...blocks, norm, ...headUnits, embedding];
  const moved = new Map(all.map((unit) => [unit.id, throughRam(unit)]));
  return {
    all,
    byId: new Map(all.map((unit) => [unit.id, unit])),
    byTransfer: [...moved].sort(([, a], [, b]) => b.largest - a.largest).map(([unit]) => unit),
    throughRam: moved,
    blocks: blocks.map((block) => block.id),
    classes,
    graphNames,
    weights,
    adapters,
    firstParameter: firstParameters(inputs),
    norm: norm.id,
    normWeights,
    head: chunks,
    embedding: embedding.id,
  };
}

function firstParameters({ model }: CommonInputs): readonly number[] {
  const names = model.blocks.flatMap(({ parameters }) => parameters).toSorted(byName);
  const rank = new Map(names.map(({ name }, index) => [name, index]));
  return model.blocks.map(({ parameters }) => Math.min(...parameters.map(({ name }) => rank.get(name)!)));
}

/** Blocks that fit the same slots, whatever graph they run, named after the graph of the first. */
function classesOf(
  blocks: readonly PlanUnit[],
  graphOf: (index: number) => { readonly stage: string | null; readonly name: string },
): Map<string, readonly string[]> {
  const names = new Map<string, string>();
  const classes = new Map<string, string[]>();
  blocks.forEach(({ id, bytes }, index) => {
    const { stage, name } = graphOf(index);
    const key = `${stage} ${bytes}`;
    const first = names.get(key) ?? name;
    names.set(key, first);
    classes.set(first, [...(classes.get(first) ?? []), id]);
  });
  return classes;
}

/** What one load instruction brings: some consecutive parts of a unit. */
export interface Transfer {
  /** Completes the load's id; empty when the unit moves as a whole. */
  readonly suffix: string;
  readonly parts: PlanUnit["parts"];
  /** Bytes of the unit from the first of these parts up to the first of the next transfer. */
  readonly from: number;
  readonly bytes: number;
}

/** The unit in one piece. */
export function wholeTransfer({ parts, bytes }: PlanUnit): readonly Transfer[] {
  return [{ suffix: "", parts, from: 0, bytes }];
}

/** The parts of the unit that start in a range of its bytes. */
export function rangeTransfer({ parts }: PlanUnit, { from, to }: { from: number; to: number }): Transfer {
  const within = parts.filter(({ at }) => from <= at && at < to);
  return { suffix: "", parts: within, from, bytes: to - from };
}

/**
 * From disk to where kernels compute a unit moves in two transfers, cut at the part nearest to half its bytes, so that
 * a procedure can start on the first weights it needs while the rest is still on its way (its waits stand before the
 * calls that need them).
 */
export function halfTransfers(unit: PlanUnit): readonly Transfer[] {
  const { parts, bytes } = unit;
  const distance = (index: number) => Math.abs(parts[index]!.at - bytes / 2);
  let cut = 1;
  for (let index = 2; index < parts.length; index++) if (distance(index) < distance(cut)) cut = index;
  return cutAt(unit, parts.length < 2 ? [] : [cut]);
}

export interface ThroughRam {
  readonly transfers: readonly Transfer[];
  /** Bytes of the largest of them. */
  readonly largest: number;
}

/**
 * Through ram a unit moves tensor by tensor, small ones with their neighbours, so that what it passes through is no
 * larger than its largest tensor.
 */
function throughRam(unit: PlanUnit): ThroughRam {
  const { parts } = unit;
  const limit = largestPart(unit);
  const cuts: number[] = [];
  parts.forEach(({ at, bytes }, index) => {
    if (at + bytes - parts[cuts.at(-1) ?? 0]!.at > limit && index > 0) cuts.push(index);
  });
  const transfers = cutAt(unit, cuts);
  return { transfers, largest: Math.max(...transfers.map(({ bytes: all }) => all)) };
}

function largestPart({ parts }: PlanUnit): number {
  return Math.max(...parts.map(({ bytes }) => bytes));
}

function cutAt(unit: PlanUnit, cuts: readonly number[]): readonly Transfer[] {
  const { parts, bytes } = unit;
  if (cuts.length === 0) return wholeTransfer(unit);
  return [0, ...cuts].map((first, index): Transfer => {
    const next = cuts[index];
    const from = parts[first]!.at;
    const end = next === undefined ? bytes : parts[next]!.at;
    return { suffix: `/${index + 1}`, parts: parts.slice(first, next), from, bytes: end - from };
  });
}

function regionOf(inputs: CommonInputs, weights: Readonly<Record<string, string>>): RegionLayout {
  const sizes = Object.entries(weights).map(([name, tensor]) => ({
    name,
    bytes: tensorByName(inputs, tensor).bytes,
  }));
  return layoutRegion(sizes, ALIGNMENT);
}

function unitOf(
  id: string,
  kind: PlanUnit["kind"],
  inputs: CommonInputs,
  weights: Readonly<Record<string, string>>,
  layout: RegionLayout,
): PlanUnit {
  const parts = Object.entries(weights).map(([local, name]) => {
    const tensor = tensorByName(inputs, name);
    return { tensor: name, from: 0, bytes: tensor.bytes, at: layout.offsets.get(local)! };
  });
  return { id, kind, bytes: layout.bytes, parts };
}

function namesOfGraphs({ model }: CommonInputs): readonly string[] {
  const seen = new Map<string, number>();
  return model.graphs.map((_, graph) => {
    const stage = model.blocks.find((block) => block.graph === graph)?.stage ?? "block";
    const count = seen.get(stage) ?? 0;
    seen.set(stage, count + 1);
    return count === 0 ? stage : `${stage}${count}`;
  });
}

/** Chunks of at most `bytes` bytes, but of one tile at least. */
function cutHead(inputs: CommonInputs, bytes: number): { units: PlanUnit[]; chunks: HeadChunk[] } {
  const tensor = tensorByName(inputs, inputs.model.head);
  const [rows, width] = tensor.shape as readonly [number, number];
  const rowBytes = width * dtypeBytes[tensor.storage];
  const tile = inputs.numerics.vocabulary_tile;
  const chunkRows = Math.max(1, Math.floor(bytes / (rowBytes * tile))) * tile;
  const units: PlanUnit[] = [];
  const chunks: HeadChunk[] = [];
  for (let firstRow = 0; firstRow < rows; firstRow += chunkRows) {
    const count = Math.min(chunkRows, rows - firstRow);
    const id = `head/${units.length}`;
    const part = { tensor: tensor.name, from: firstRow * rowBytes, bytes: count * rowBytes, at: 0 };
    units.push({ id, kind: "head", bytes: part.bytes, parts: [part] });
    chunks.push({ unit: id, firstRow, rows: count });
  }
  return { units, chunks };
}

/** The embedding table in parts of whole rows: of at most `bytes` bytes, but of one row at least. */
function tableUnit(inputs: CommonInputs, bytes: number): PlanUnit {
  const table = tensorByName(inputs, inputs.model.embedding);
  const rowBytes = table.bytes / table.shape[0]!;
  const most = Math.max(1, Math.floor(bytes / rowBytes)) * rowBytes;
  const parts = Array.from({ length: Math.ceil(table.bytes / most) }, (_, index) => {
    const from = index * most;
    return { tensor: table.name, from, bytes: Math.min(most, table.bytes - from), at: from };
  });
  return { id: "embedding", kind: "embedding", bytes: table.bytes, parts };
}
