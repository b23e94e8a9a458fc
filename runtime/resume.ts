/**
 * Going on from a checkpoint: the plan must mean the same training, and the tensors go back to where the checkpoint
 * program took them from. Another budget, residency, micro-batch or thread count is another plan of the same training,
 * and gives the same bits.
 */
import { open } from "node:fs/promises";
import { join } from "node:path";
import { readExactly, readSafetensorsHeader } from "../models/safetensors.ts";
import { canonicalJson } from "../schemas/canonical-json.ts";
import { type Diagnostic, DiagnosticError, diagnostic, invariant } from "../schemas/diagnostic.ts";
import type { Place, Plan, PlanSink } from "../schemas/plan.ts";
import type { Machine } from "./addon.ts";
import type { SavedCheckpoint } from "./checkpoint.ts";
import { dataPosition } from "./trainer-state.ts";

/** Writes bytes into an arena. */
export type WritePlace = (place: Place, bytes: Uint8Array) => Promise<void>;

/** What decides the bits of a training, by the words that a user knows it under. */
function identityOf({ inputs, numerics, training, adapter, shape, op_table }: Plan): Record<string, unknown> {
  const { model, dataset, tokenizer, files, seed } = inputs;
  return {
    "the model's config": model,
    "the weights": files,
    "the dataset": dataset,
    "the tokenizer": tokenizer,
    "the starting adapter": inputs.adapter,
    seed,
    precision: numerics,
    training,
    "the adapter's settings": adapter,
    "batch size": shape.batch_size,
    "sequence length": shape.sequence_length,
    "lema's kernels": op_table,
  };
}

/** Why `plan` is not the training that `saved` (the plan in the run directory) has begun; empty when it is. */
export function checkSameTraining(saved: Plan, plan: Plan, run: string): Diagnostic[] {
  const before = identityOf(saved);
  return Object.entries(identityOf(plan))
    .filter(([what, value]) => canonicalJson(value) !== canonicalJson(before[what]))
    .map(([what]) =>
      diagnostic("checkpoint.mismatch", {
        summary: `${what} of the plan and of the run in ${run} differ`,
        hint: "resume with the run's own plan (`lema exec RUN --resume`), or begin a new run in another directory",
      }),
    );
}

/** Why going on here may give other bits than where the run began; empty when it cannot. */
export function checkSameMachine(before: Machine, here: Machine): Diagnostic[] {
  const names = ["backend", "device", "build"] as const;
  return names
    .filter((name) => before[name] !== here[name])
    .map((name) =>
      diagnostic("checkpoint.elsewhere", {
        summary: `the run's ${name === "build" ? "native module" : name} was another one`,
        detail: `run  ${before[name]}\nhere ${here[name]}`,
        hint: "`--inexact` goes on all the same; the bits may then differ from those of an uninterrupted run",
      }),
    );
}

/** Puts every tensor of the checkpoint back into the arenas. */
export async function restoreTensors(
  plan: Plan,
  checkpoint: SavedCheckpoint,
  write: WritePlace,
): Promise<void> {
  const { step, position } = checkpoint.state;
  const expected = dataPosition(plan, step);
  if (position.epoch !== expected.epoch || position.row !== expected.row) {
    damaged(
      checkpoint.directory,
      `step ${step} does not begin at row ${position.row} of epoch ${position.epoch}`,
    );
  }
  for (const sink of plan.sinks) await restoreSink(plan, sink, join(checkpoint.directory, sink.file), write);
}

async function restoreSink(plan: Plan, sink: PlanSink, path: string, write: WritePlace): Promise<void> {
  const { tensors } = await readSafetensorsHeader(path);
  const file = await open(path, "r");
  try {
    for (const planned of sink.tensors) {
      const saved = tensors.get(planned.name);
      if (saved === undefined) damaged(path, `it lacks ${planned.name}`);
      if (saved.bytes !== planned.bytes) damaged(path, `${planned.name} has another size`);
      await write(placeOf(plan, sink, planned), await readExactly(file, saved.offset, saved.bytes, path));
    }
  } finally {
    await file.close();
  }
}

/** Where the checkpoint program takes a tensor from. */
export function placeOf(plan: Plan, sink: PlanSink, { offset, bytes }: PlanSink["tensors"][number]): Place {
  const end = offset + bytes;
  for (const instruction of plan.programs.checkpoint.steady) {
    if (instruction.kind !== "write" || instruction.sink !== sink.id) continue;
    const { from } = instruction;
    if (instruction.offset <= offset && end <= instruction.offset + from.bytes) {
      return { buffer: from.buffer, offset: from.offset + offset - instruction.offset };
    }
  }
  invariant(false, `bytes [${offset}, ${end}) of ${sink.file} are not written by one instruction`);
}

function damaged(file: string, reason: string): never {
  const summary = `${file} is damaged: ${reason}`;
  throw new DiagnosticError(diagnostic("checkpoint.damaged", { summary, where: { file } }));
}
