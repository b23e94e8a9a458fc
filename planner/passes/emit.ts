/**
 * emit: tasks with addresses and waits become instructions: byte ranges, file segments, effects and byte counts.
 */
import type { Inputs } from "../../schemas/inputs.ts";
import { dtypeBytes } from "../../schemas/ops/define-op.ts";
import type { Instruction, PlanProgram, Range } from "../../schemas/plan.ts";
import { largestRow } from "../cost/pages.ts";
import { type EffectContext, effectsOf } from "../ir/effects.ts";
import type { Programs, ReadTask, Synced, SyncedTask } from "../ir/schedule.ts";
import { tensorByName } from "../ir/units.ts";
import { at } from "../ir/values.ts";
import { mapPrograms } from "./residency.ts";

export function emit(inputs: Inputs, synced: Synced, context: EffectContext): Programs<PlanProgram> {
  const part = (tasks: readonly SyncedTask[]) => tasks.map((task) => instructionOf(task, inputs, context));
  return mapPrograms(synced.synced, ({ prologue, steady, epilogue }) => ({
    prologue: part(prologue),
    steady: part(steady),
    epilogue: part(epilogue),
  }));
}

function instructionOf({ task, waits }: SyncedTask, inputs: Inputs, context: EffectContext): Instruction {
  const { id } = task;
  const common = { waits: [...waits], ...effectsOf(task, context) };
  const staging: Range = { buffer: "staging", offset: 0, bytes: context.stagingBytes };
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
      const segments = segmentsOf(task.to, inputs, task.parts);
      const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
      return { kind: "read", lane: "disk", id, ...common, unit, evicts, bytes, segments, staging };
    }
    case "gather": {
      const { file, offset, shape, storage, name } = tensorByName(inputs, task.tensor);
      const [table_rows, width] = shape as readonly [number, number];
      const row_bytes = width * dtypeBytes[storage];
      const count = task.indices.bytes / dtypeBytes.i32;
      return {
        kind: "gather",
        lane: "disk",
        id,
        ...common,
        bytes: count * largestRow({ offset, row_bytes, table_rows }),
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

function segmentsOf(buffer: string, inputs: Inputs, parts: ReadTask["parts"]): Segment[] {
  return parts.map((part) => {
    const { file, offset, name } = tensorByName(inputs, part.tensor);
    const to = at(buffer, part.at);
    return { file, offset: offset + part.from, bytes: part.bytes, tensor: name, from: part.from, to };
  });
}
