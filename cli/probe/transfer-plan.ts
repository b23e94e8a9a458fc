/**
 * A plan that moves bytes and computes nothing: long reads and single rows of a file of the probe's own, and copies
 * between two arenas. The file begins with a few odd bytes, as the tensors of a downloaded checkpoint do, so that reads
 * take the way through staging that theirs take.
 */
import type { EnginePlan } from "../../runtime/encode.ts";
import { opTableHash } from "../../schemas/op-table.ts";
import type { Instruction, PlanBuffer } from "../../schemas/plan.ts";

export interface TransferSizes {
  /** Reads and copies; each of `bytes`. */
  readonly count: number;
  readonly bytes: number;
  /** Single rows that are read. */
  readonly rows: number;
}

export const FILE = "probe";
/** Where the file's tensor begins. */
export const LEAD = 100;
export const ROW_BYTES = 4096;
/** Staging of a plan; see planner/ir/values.ts. */
const STAGING = 8 * 2 ** 20;
const ALIGNMENT = 4096;

export const fileBytes = ({ count, bytes }: TransferSizes): number => LEAD + count * bytes;

/** Spreads the rows over the whole file; the step is prime to any power of two. */
const ROW_STEP = 7919;

/** `computeArena`: where the backend computes, though nothing is computed. */
export function transferPlan(sizes: TransferSizes, computeArena: "ram" | "vram"): EnginePlan {
  const { count, bytes, rows } = sizes;
  const tableRows = (count * bytes) / ROW_BYTES;
  const layout = (
    arena: "ram" | "vram",
    parts: readonly (readonly [string, number, PlanBuffer["holds"]])[],
  ) => {
    let offset = 0;
    return parts.map(([id, size, holds]): PlanBuffer => {
      const buffer = { id, arena, offset, bytes: size, alignment: ALIGNMENT, holds, lifetime: null };
      offset += Math.ceil(size / ALIGNMENT) * ALIGNMENT;
      return buffer;
    });
  };
  const ram = layout("ram", [
    ["slot", bytes, "weights"],
    ["rows", rows * ROW_BYTES, "activation"],
    ["indices", 4 * rows, "input"],
    ["staging", STAGING, "staging"],
  ]);
  const vram = layout("vram", [["device", bytes, "weights"]]);
  const endOf = (buffers: readonly PlanBuffer[]): number =>
    Math.max(...buffers.map(({ offset, bytes: size }) => Math.ceil((offset + size) / ALIGNMENT) * ALIGNMENT));
  const common = { waits: [], reads: [], writes: [] };
  const staging = { buffer: "staging", offset: 0, bytes: STAGING };
  const slot = { buffer: "slot", offset: 0 };
  const device = { buffer: "device", offset: 0 };
  const each = <T>(make: (index: number) => T): T[] =>
    Array.from({ length: count }, (_, index) => make(index));
  const reads = each((index): Instruction => {
    const from = index * bytes;
    const segment = { file: FILE, offset: LEAD + from, bytes, tensor: FILE, from, to: slot };
    return {
      ...common,
      kind: "read",
      lane: "disk",
      id: `read/${index}`,
      bytes,
      unit: FILE,
      evicts: null,
      segments: [segment],
      staging,
    };
  });
  const gather: Instruction = {
    ...common,
    kind: "gather",
    lane: "disk",
    id: "gather",
    // A row that is not aligned lies in two pages.
    bytes: 2 * rows * ROW_BYTES,
    file: FILE,
    offset: LEAD,
    row_bytes: ROW_BYTES,
    table_rows: tableRows,
    tensor: FILE,
    indices: { buffer: "indices", offset: 0, bytes: 4 * rows },
    to: { buffer: "rows", offset: 0 },
    staging,
  };
  const up = each((index): Instruction => {
    return {
      ...common,
      kind: "copy",
      lane: "h2d",
      id: `h2d/${index}`,
      bytes,
      from: slot,
      to: device,
      unit: null,
    };
  });
  // A device's link goes both ways at once, and a step's traffic is nearly all one way: one after the other.
  const afterUp = computeArena === "vram" ? [{ on: up.at(-1)!.id, at: 0 }] : [];
  const down = each((index): Instruction => {
    return {
      ...common,
      waits: index === 0 ? afterUp : [],
      kind: "copy",
      lane: "d2h",
      id: `d2h/${index}`,
      bytes,
      from: device,
      to: slot,
      unit: null,
    };
  });
  const part = (steady: Instruction[]) => ({ prologue: [], steady, epilogue: [] });
  const indices = Array.from({ length: rows }, (_, row) => (row * ROW_STEP) % tableRows);
  return {
    op_table: opTableHash(),
    shape: { threads: 1, compute_arena: computeArena },
    budgets: { ram: { arena: endOf(ram) }, vram: { arena: endOf(vram) } },
    inputs: { files: [{ id: FILE, bytes: fileBytes(sizes) }] },
    tensors: [
      {
        name: FILE,
        role: "block",
        shape: [tableRows, ROW_BYTES / 4],
        storage: "f32",
        file: FILE,
        offset: LEAD,
        bytes: count * bytes,
        digest: null,
      },
    ],
    buffers: [...ram, ...vram],
    constants: [{ at: { buffer: "indices", offset: 0 }, dtype: "i32", values: indices }],
    step_inputs: [],
    procedures: [],
    sinks: [],
    programs: { "train-step": part(reads), evaluate: part([gather]), checkpoint: part([...up, ...down]) },
  };
}
