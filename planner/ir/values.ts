/**
 * The buffers of a plan before they have addresses, and where the parts of the shared ones stand.
 *
 * Values that only one program touches are alive from their first to their last use there; persistent ones hold what
 * outlives a step: weights, adapter state, step inputs and outputs, staging, scratch.
 */
import type { CommonInputs, Inputs } from "../../schemas/inputs.ts";
import { dtypeBytes, tensorBytes } from "../../schemas/ops/define-op.ts";
import { type ArenaName, type ProgramName, stepScalars } from "../../schemas/plan.ts";
import { alignUp } from "../../schemas/units.ts";
import { ALIGNMENT } from "./procedure.ts";
import type { Shape, Value, ValuePlace } from "./schedule.ts";
import { byName, HEAD_CLASS, type Units } from "./units.ts";

/** Direct reads need pages; staging is a ring of chunks of at most this many bytes. */
export const PAGE = 4096;
const STAGING_CHUNK = 4 * 2 ** 20;
const STAGING_CHUNKS = 2;

/** Step inputs in one buffer: i32 [batch_size, S] each, then the scalars. */
export const rowInputs = ["tokens", "labels", "positions", "segment_start"] as const;
export type RowInput = (typeof rowInputs)[number];
export type ScalarInput = (typeof stepScalars)[number]["name"];

/** Step inputs of a generation beside its tokens and positions: how many positions the caches hold, and the step has. */
export const lengthInputs = ["kv_length", "new_tokens"] as const;
export type LengthInput = (typeof lengthInputs)[number];

/** Byte layout of a generation's step inputs: i32 [1, chunk] twice, then the lengths. */
export function generationInputs(chunk: number): {
  readonly bytes: number;
  readonly at: Readonly<Record<"tokens" | "positions" | LengthInput, number>>;
} {
  const row = tensorBytes([1, chunk], "i32");
  const one = dtypeBytes.i32;
  const at = { tokens: 0, positions: row, kv_length: 2 * row, new_tokens: 2 * row + one };
  return { bytes: 2 * (row + one), at };
}

/** Places of the step's results inside `outputs`. */
export const outputPlaces = { loss: 0, norm: 8, clip: 16, skip: 20 } as const;
export const OUTPUT_BYTES = 24;

/** Collects values as tasks mention them. */
export class ValueTable {
  readonly #values = new Map<string, Value>();

  /**
   * Declares a value, or returns the one declared before; both must agree. The id that comes back is one and the same
   * string for all who ask, so that maps find it without comparing letters.
   */
  declare(
    id: string,
    arena: ArenaName,
    bytes: number,
    holds: Value["holds"],
    program: ProgramName | null,
  ): string {
    const known = this.#values.get(id);
    if (known) return known.id;
    this.#values.set(id, { id, arena, bytes, alignment: ALIGNMENT, holds, program });
    return id;
  }

  /** Makes room for something larger in a value that is declared already. */
  widen(id: string, bytes: number): void {
    const value = this.get(id);
    if (value.bytes < bytes) this.#values.set(id, { ...value, bytes });
  }

  get(id: string): Value {
    return this.#values.get(id)!;
  }

  get all(): readonly Value[] {
    return [...this.#values.values()];
  }
}

/** Byte layout of the step inputs. */
export function inputLayout(inputs: Inputs): {
  bytes: number;
  rows: (name: RowInput) => number;
  scalar: (name: ScalarInput) => number;
} {
  const { batch_size } = inputs.recipe.training;
  const rowBytes = tensorBytes([batch_size, inputs.recipe.sequence.length], "i32");
  const scalarsAt = rowInputs.length * rowBytes;
  return {
    bytes: scalarsAt + stepScalars.length * dtypeBytes.f32,
    rows: (name) => rowInputs.indexOf(name) * rowBytes,
    scalar: (name) => scalarsAt + stepScalars.findIndex((scalar) => scalar.name === name) * dtypeBytes.f32,
  };
}

/** Staging of the disk lane: two chunks, no larger than the largest transfer needs. */
export function stagingBytes(largestTransfer: number): number {
  const chunk = Math.min(STAGING_CHUNK, alignUp(largestTransfer, PAGE) + 2 * PAGE);
  return STAGING_CHUNKS * chunk;
}

/** Bytes of a place for a unit of its own. */
export function placeBytes(units: Units, unit: string): number {
  return alignUp(units.byId.get(unit)!.bytes, ALIGNMENT);
}

/** Bytes of the slots that the units of a class take turns in. */
export function slotBytes(units: Units, unitClass: string): number {
  const members = units.classes.get(unitClass)!;
  return alignUp(Math.max(...members.map((id) => units.byId.get(id)!.bytes)), ALIGNMENT);
}

/** Slots that the head's chunks take turns in. */
export const HEAD_SLOTS = 2;

/** Bytes of the slots of all classes of blocks; fewer where fewer units take turns in them. */
export function ringBytes(units: Units, ring: number): number {
  const blocks = [...units.classes].filter(([unitClass]) => unitClass !== HEAD_CLASS);
  return blocks.reduce(
    (sum, [unitClass, { length }]) => sum + Math.min(ring, length) * slotBytes(units, unitClass),
    0,
  );
}

/** Bytes of each of the places of ram that units pass through tensor by tensor, when some do not. */
export function passingBytes(units: Units, others: ReadonlySet<string> = new Set()): number {
  const largest = units.byTransfer.find((unit) => !others.has(unit));
  return largest === undefined ? 0 : alignUp(units.throughRam.get(largest)!.largest, ALIGNMENT);
}

/** Which arena kernels compute in. */
export function computeArena(shape: Shape): ArenaName {
  return shape.tiers === "disk-ram" ? "ram" : "vram";
}

/** Names of the places of weights; those of ram beside a vram tier begin with `ram/`. */
export const pinnedSlot = (unit: string): string => `pin/${unit}`;
export const ringSlot = (unitClass: string, index: number): string => `slot/${unitClass}/${index}`;
export const ramPinnedSlot = (unit: string): string => `ram/pin/${unit}`;
/** The buffer with a unit's keys, then its values. */
export const cacheBuffer = (unit: string): string => `cache/${unit}`;
export const ramRingSlot = (ring: string, index: number): string => `ram/slot/${ring}/${index}`;
export const passingSlot = (index: number): string => `ram/pass/${index}`;

/**
 * Position of each block's adapter state inside the adapter, gradient and moment buffers. Blocks stand in the order of
 * PEFT's file: layers.10 before layers.2.
 */
export function adapterOffsets(
  inputs: CommonInputs,
  units: Units,
): { offsets: readonly number[]; bytes: number } {
  const { blocks } = inputs.model;
  const offsets = blocks.map(() => 0);
  let bytes = 0;
  const inFileOrder = blocks
    .map(({ graph, parameters }, layer) => ({ layer, graph, name: parameters[0]?.name ?? "" }))
    .sort(byName);
  for (const { layer, graph } of inFileOrder) {
    offsets[layer] = bytes;
    bytes += units.adapters[graph]!.bytes;
  }
  return { offsets, bytes };
}

export function at(buffer: string, offset: number = 0): ValuePlace {
  return { buffer, offset };
}
