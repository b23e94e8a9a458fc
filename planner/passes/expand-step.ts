/**
 * expand-step: from units and a shape to the tasks of every program, in serial order.
 *
 * Requires: a shape whose micro-batch divides the batch.
 * Guarantees: each (block, micro-batch) has exactly one forward and one backward per step, in dependency order;
 * layer-major: all micro-batches pass through a unit before the next unit, so a unit is touched once per sweep.
 * Weights are named by unit, not yet by slot; no loads exist.
 */
import type { Inputs } from "../../schemas/inputs.ts";
import type { ProgramName } from "../../schemas/plan.ts";
import { buildProcedures } from "../ir/procedures.ts";
import type { Expanded, Shape, Task } from "../ir/schedule.ts";
import { StepBuilder } from "../ir/step-builder.ts";
import type { Units } from "../ir/units.ts";

export function expandStep(inputs: Inputs, units: Units, shape: Shape): Expanded {
  const procedures = buildProcedures(inputs, units, shape);
  const builder = new StepBuilder(inputs, units, shape, procedures);
  const programs: Record<ProgramName, readonly Task[]> = {
    "train-step": trainStep(builder),
    evaluate: evaluate(builder),
    checkpoint: checkpoint(builder),
  };
  const copies = adapterCopies(builder);
  return { shape, values: builder.values.all, procedures: procedures.all, programs, adapterCopies: copies };
}

function adapterCopies(b: StepBuilder): readonly Task[] {
  b.begin("train-step");
  for (let layer = 0; layer < b.layers; layer++) b.copyAdapter(layer);
  return b.end();
}

function trainStep(b: StepBuilder): readonly Task[] {
  b.begin("train-step");
  forward(b);
  const { microBatches, layers } = b;
  const last = layers - 1;
  for (const mb of microBatches) b.headBegin(mb, "gradient");
  for (const chunk of b.headChunks) for (const mb of microBatches) b.headTile(chunk, mb, "gradient");
  for (const mb of microBatches) b.headFinish(mb, "gradient");
  b.reduceLoss();
  for (let layer = last; layer >= 0; layer--) {
    b.zeroGradient(layer);
    for (const mb of microBatches) b.backward(layer, mb);
    // One unit later than it could, so that the next unit's backward does not wait for the copy's buffer.
    if (layer < last) b.flushGradient(layer + 1);
  }
  b.flushGradient(0);
  b.optimizer();
  return b.end();
}

function evaluate(b: StepBuilder): readonly Task[] {
  b.begin("evaluate");
  forward(b);
  const { microBatches } = b;
  for (const mb of microBatches) b.headBegin(mb, "loss");
  for (const chunk of b.headChunks) for (const mb of microBatches) b.headTile(chunk, mb, "loss");
  for (const mb of microBatches) b.headFinish(mb, "loss");
  b.reduceLoss();
  return b.end();
}

function forward(b: StepBuilder): void {
  b.copyInputs();
  for (const mb of b.microBatches) {
    b.tables(mb);
    b.embed(mb);
  }
  for (let layer = 0; layer < b.layers; layer++) for (const mb of b.microBatches) b.forward(layer, mb);
}

function checkpoint(b: StepBuilder): readonly Task[] {
  b.begin("checkpoint");
  const { bytes } = b.adapter;
  if (bytes > 0) {
    b.write("adapter", 0, "adapter", bytes);
    b.write("optimizer", 0, "first_moment", bytes);
    b.write("optimizer", bytes, "second_moment", bytes);
  }
  return b.end();
}
