/**
 * emit: tasks with addresses and waits become instructions: byte ranges, file segments, effects and byte counts.
 */
import type { CommonInputs, InputTensor } from "../../schemas/inputs.ts";
import { dtypeBytes } from "../../schemas/ops/define-op.ts";
import type { Instruction, PlanProgram, Range } from "../../schemas/plan.ts";
import type { TimedWork } from "../cost/duration.ts";
import { largestRow } from "../cost/pages.ts";
import { type EffectContext, type Effects, effectsOf } from "../ir/effects.ts";
import type { GatherTask, Programs, ReadTask, Synced, SyncedTask, Task } from "../ir/schedule.ts";
import { at } from "../ir/values.ts";
import { mapPrograms } from "./residency.ts";

export function emit(inputs: CommonInputs, synced: Synced, context: EffectContext): Programs<PlanProgram> {
  const tensors = tensorsOf(inputs);
  const part = (tasks: readonly SyncedTask[]) =>
    tasks.map((one) => instructionOf(one, tensors, context.stagingBytes, effectsOf(one.task, context)));
  return mapPrograms(synced.synced, ({ prologue, steady, epilogue }) => ({
    prologue: part(prologue),
    steady: part(steady),
    epilogue: part(epilogue),
  }));
}

/** Instructions that say nothing of their effects: all that the simulator asks for. */
export function emitForTiming(
  inputs: CommonInputs,
  tasks: readonly SyncedTask[],
  { stagingBytes }: EffectContext,
): readonly Instruction[] {
  const tensors = tensorsOf(inputs);
  return tasks.map((one) => instructionOf(one, tensors, stagingBytes, { reads: [], writes: [] }));
}

/** What the time of a task depends on, without the rest of its instruction. */
export function timedWork(inputs: CommonInputs): (task: Task) => TimedWork {
  const tensors = tensorsOf(inputs);
  return (task) => {
    switch (task.kind) {
      case "run":
      case "copy":
        return task;
      case "write":
        return { kind: "write", bytes: task.from.bytes };
      case "read":
        return { kind: "read", bytes: task.parts.reduce((sum, { bytes }) => sum + bytes, 0) };
      case "gather":
        return { kind: "gather", indices: task.indices, ...rowsOf(task, tensors) };
    }
  };
}

/** The table that a task gathers from, and the bytes that its rows cost at most. */
function rowsOf({ tensor, indices }: GatherTask, tensors: Tensors) {
  const { offset, shape, storage } = tensors.get(tensor)!;
  const [table_rows, width] = shape as readonly [number, number];
  const row_bytes = width * dtypeBytes[storage];
  const count = indices.bytes / dtypeBytes.i32;
  return { bytes: count * largestRow({ offset, row_bytes, table_rows }), row_bytes, table_rows };
}

type Tensors = ReadonlyMap<string, InputTensor>;

function tensorsOf({ model }: CommonInputs): Tensors {
  return new Map(model.tensors.map((tensor) => [tensor.name, tensor]));
}

function instructionOf(
  { task, waits }: SyncedTask,
  tensors: Tensors,
  stagingBytes: number,
  effects: Effects,
): Instruction {
  const { id } = task;
  const common = { waits: [...waits], ...effects };
  const staging: Range = { buffer: "staging", offset: 0, bytes: stagingBytes };
  switch (task.kind) {
    case "run": {
      const { kind, lane, procedure, bind, unit } = task;
      return { kind, id, lane, procedure, bind: { ...bind }, unit, ...common, bytes: 0 };
    }
    case "copy":
      return { ...task, ...common };
    case "write":
      return { ...task, ...common, bytes: task.from.bytes, staging };
    case "read": {
      const { unit, evicts } = task;
      const segments = segmentsOf(task.to, tensors, task.parts);
      const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
      return { kind: "read", lane: "disk", id, ...common, unit, evicts, bytes, segments, staging };
    }
    case "gather": {
      const { file, offset, name } = tensors.get(task.tensor)!;
      const { bytes, row_bytes, table_rows } = rowsOf(task, tensors);
      return {
        kind: "gather",
        lane: "disk",
        id,
        ...common,
        bytes,
        file,
        offset,
        row_bytes,
        table_rows,
        tensor: name,
        indices: task.indices,
        to: task.to,
        staging,
      };
    }
  }
}

type Segment = Extract<Instruction, { kind: "read" }>["segments"][number];

function segmentsOf(buffer: string, tensors: Tensors, parts: ReadTask["parts"]): Segment[] {
  return parts.map((part) => {
    const { file, offset, name } = tensors.get(part.tensor)!;
    const to = at(buffer, part.at);
    return { file, offset: offset + part.from, bytes: part.bytes, tensor: name, from: part.from, to };
  });
}
