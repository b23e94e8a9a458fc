/**
 * expand-step: from units and a shape to the tasks of every program, in serial order.
 *
 * Requires: a shape whose micro-batch divides the batch.
 * Guarantees: each (block, micro-batch) has exactly one forward and one backward per step, in dependency order;
 * layer-major: all micro-batches pass through a unit before the next unit, so a unit is touched once per sweep.
 * Weights are named by unit, not yet by slot; no loads exist. What was put aside, and a streamed adapter, comes one
 * task ahead of its use, so that the copy runs beside the computation before; kept activations come back from ram as soon
 * as one of the slots that they pass through is free.
 */
import type { ProgramName } from "../../schemas/plan.ts";
import * as block from "../ir/block-tasks.ts";
import { copyInputs, embed, ropeTables } from "../ir/embed-tasks.ts";
import { type HeadMode, headBegin, headFinish, headTile, reduceLoss } from "../ir/head-tasks.ts";
import { PASSING_ACTIVATIONS } from "../ir/kept.ts";
import { optimizer, writeState } from "../ir/optimizer-tasks.ts";
import type { Expanded, Shape, Task } from "../ir/schedule.ts";
import { StepContext } from "../ir/step-context.ts";
import type { TrainingVariant } from "../shape/training-variant.ts";

const EMITTERS = { "train-step": trainStep, evaluate, checkpoint: writeState } as const;
export type TrainingProgram = keyof typeof EMITTERS;
const ALL = Object.keys(EMITTERS) as TrainingProgram[];

/** `names`: what is not asked for is left out. */
export function expandStep(
  variant: TrainingVariant,
  shape: Shape,
  names: readonly TrainingProgram[] = ALL,
): Expanded {
  const procedures = variant.procedures(shape);
  const c = new StepContext(variant.inputs, variant.units, shape, procedures);
  const program = (name: ProgramName, emit: (c: StepContext) => void): readonly Task[] => {
    c.tasks.begin(name);
    emit(c);
    return c.tasks.end();
  };
  return {
    shape,
    programs: Object.fromEntries(names.map((name) => [name, program(name, EMITTERS[name])])),
    cycle: "train-step",
    order: "there and back",
    beginning: program("train-step", () => {
      for (const index of c.blocks) block.refreshAdapter(c, index);
    }),
    values: c.tasks.values.all,
    procedures: procedures.all,
  };
}

function trainStep(c: StepContext): void {
  forward(c);
  head(c, "gradient");
  backward(c);
  optimizer(c);
}

function evaluate(c: StepContext): void {
  forward(c);
  head(c, "loss");
}

function forward(c: StepContext): void {
  copyInputs(c);
  block.bringAdapter(c, 0, "up");
  for (const index of c.blocks) {
    if (index + 1 < c.blocks.length) block.bringAdapter(c, index + 1, "up");
    for (const mb of c.microBatches) {
      // Beside the first block's computation, the disk fetches the next micro-batch's embedding rows.
      if (index === 0) enter(c, mb);
      block.forward(c, index, mb);
      block.putAside(c, index + 1, mb);
      block.putActivationsAside(c, index, mb);
    }
  }
}

function enter(c: StepContext, mb: number): void {
  ropeTables(c, mb);
  embed(c, mb);
  block.putAside(c, 0, mb);
}

function head(c: StepContext, mode: HeadMode): void {
  for (const mb of c.microBatches) headBegin(c, mb, mode);
  for (const chunk of c.units.head.keys()) for (const mb of c.microBatches) headTile(c, chunk, mb, mode);
  for (const mb of c.microBatches) headFinish(c, mb, mode);
  reduceLoss(c);
}

function backward(c: StepContext): void {
  const order = c.blocks.toReversed().flatMap((index) => c.microBatches.map((mb) => ({ index, mb })));
  const top = c.blocks.length - 1;
  block.bringAdapter(c, top, "down");
  block.bringBack(c, top, 0);
  const inRam = order.filter(({ index, mb }) => c.keeping.of(index, mb) === "ram");
  const bringNext = () => {
    const next = inRam.shift();
    if (next) block.bringActivationsBack(c, next.index, next.mb);
  };
  for (let slot = 0; slot < PASSING_ACTIVATIONS; slot++) bringNext();
  order.forEach(({ index, mb }, position) => {
    if (mb === 0) {
      if (index > 0) block.bringAdapter(c, index - 1, "down");
      block.zeroGradient(c, index);
    }
    const next = order[position + 1];
    if (next) block.bringBack(c, next.index, next.mb);
    block.backward(c, index, mb);
    if (c.keeping.of(index, mb) === "ram") bringNext();
    // One unit later than it could, so that the next unit's backward does not wait for the copy's buffer.
    if (mb === c.microBatches.length - 1 && index < top) block.flushGradient(c, index + 1);
  });
  block.flushGradient(c, 0);
}
