/**
 * Units: the weights that move together, with the place of every tensor inside a slot.
 *
 * All blocks that run the same graph get the same layout, so they share procedures. The head is cut into chunks of at
 * most one block's bytes, in multiples of the vocabulary tile, so that it streams through the same slots and its bits
 * do not depend on the cut.
 */
import { invariant } from "../../schemas/diagnostic.ts";
import type { Inputs, InputTensor } from "../../schemas/inputs.ts";
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
  /** Unit id of each block. */
  readonly blocks: readonly string[];
  /** Slot layout of each graph's weights, by graph index. */
  readonly weights: readonly RegionLayout[];
  /** Dense layout of each graph's adapter parameters, and so of their gradients and moments. */
  readonly adapters: readonly RegionLayout[];
  readonly norm: string;
  readonly normWeights: RegionLayout;
  readonly head: readonly HeadChunk[];
  readonly embedding: string;
}

export function tensorByName(inputs: Inputs, name: string): InputTensor {
  const tensor = inputs.model.tensors.find((candidate) => candidate.name === name);
  invariant(tensor, `the model has no tensor ${name}`);
  return tensor;
}

/** `7` → `L07`, with as many digits as the deepest layer needs, so that ids sort by layer. */
export function blockId(layer: number, layers: number): string {
  return `L${String(layer).padStart(Math.max(2, String(layers - 1).length), "0")}`;
}

/** The order of tensors in a safetensors file; names are ASCII. */
export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

export function buildUnits(inputs: Inputs): Units {
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
  const blocks = model.blocks.map((block, layer): PlanUnit => {
    return unitOf(blockId(layer, model.blocks.length), "block", inputs, block.weights, weights[block.graph]!);
  });
  const normWeights = regionOf(inputs, model.norm.weights);
  const norm = unitOf("norm", "norm", inputs, model.norm.weights, normWeights);
  const { units: headUnits, chunks } = cutHead(inputs, Math.max(...blocks.map((block) => block.bytes)));
  const table = tensorByName(inputs, model.embedding);
  const embedding: PlanUnit = {
    id: "embedding",
    kind: "embedding",
    bytes: table.bytes,
    parts: [{ tensor: table.name, from: 0, bytes: table.bytes, at: 0 }],
  };
  const all = [...blocks, norm, ...headUnits, embedding];
  return {
    all,
    byId: new Map(all.map((unit) => [unit.id, unit])),
    blocks: blocks.map((block) => block.id),
    weights,
    adapters,
    norm: norm.id,
    normWeights,
    head: chunks,
    embedding: embedding.id,
  };
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

/**
 * A unit moves in two transfers, cut at the part nearest to half its bytes, so that a procedure can start on the first
 * weights it needs while the rest is still on its way (its waits stand before the calls that need them).
 */
export function transfersOf({ parts, bytes }: PlanUnit): readonly Transfer[] {
  if (parts.length < 2) return [{ suffix: "", parts, from: 0, bytes }];
  const distance = (index: number) => Math.abs(parts[index]!.at - bytes / 2);
  let cut = 1;
  for (let index = 2; index < parts.length; index++) if (distance(index) < distance(cut)) cut = index;
  const middle = parts[cut]!.at;
  return [
    { suffix: "/1", parts: parts.slice(0, cut), from: 0, bytes: middle },
    { suffix: "/2", parts: parts.slice(cut), from: middle, bytes: bytes - middle },
  ];
}

function regionOf(inputs: Inputs, weights: Readonly<Record<string, string>>): RegionLayout {
  const sizes = Object.entries(weights).map(([name, tensor]) => ({
    name,
    bytes: tensorByName(inputs, tensor).bytes,
  }));
  return layoutRegion(sizes, ALIGNMENT);
}

function unitOf(
  id: string,
  kind: PlanUnit["kind"],
  inputs: Inputs,
  weights: Readonly<Record<string, string>>,
  layout: RegionLayout,
): PlanUnit {
  const parts = Object.entries(weights).map(([local, name]) => {
    const tensor = tensorByName(inputs, name);
    return { tensor: name, from: 0, bytes: tensor.bytes, at: layout.offsets.get(local)! };
  });
  return { id, kind, bytes: layout.bytes, parts };
}

function cutHead(inputs: Inputs, blockBytes: number): { units: PlanUnit[]; chunks: HeadChunk[] } {
  const tensor = tensorByName(inputs, inputs.model.head);
  const [rows, width] = tensor.shape as readonly [number, number];
  const rowBytes = width * dtypeBytes[tensor.storage];
  const tile = inputs.numerics.vocabulary_tile;
  const chunkRows = Math.max(1, Math.floor(blockBytes / (rowBytes * tile))) * tile;
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
