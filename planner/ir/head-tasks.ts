/** Tasks at the top of a step: the final norm, the head's chunks with their online softmax, and the loss. */
import type { ValuePlace } from "./schedule.ts";
import type { StepContext } from "./step-context.ts";
import { at, outputPlaces } from "./values.ts";

/** Whether the head also computes gradients. */
export type HeadMode = "gradient" | "loss";

export function headBegin(c: StepContext, mb: number, mode: HeadMode): void {
  const bind = { x: c.stream(c.blocks.length, mb), y: normalized(c, mb), ...headState(c, mb, mode) };
  c.tasks.run(`head/begin/mb${mb}`, `head.begin${suffix(mode)}`, bind, { unit: c.units.norm });
}

export function headTile(c: StepContext, chunk: number, mb: number, mode: HeadMode): void {
  const { unit } = c.units.head[chunk]!;
  const bind = { x: normalized(c, mb), labels: c.rows("labels", mb), ...headState(c, mb, mode) };
  c.tasks.run(`${unit}/mb${mb}`, `head.tile/${chunk}${suffix(mode)}`, bind, { unit });
}

export function headFinish(c: StepContext, mb: number, mode: HeadMode): void {
  const bytes = c.vectorBytes("f32");
  const losses = c.tasks.value("losses", bytes * c.microBatches.length, "activation");
  const gradient = () => ({ x: c.stream(c.blocks.length, mb), grad: c.gradientStream(mb) });
  c.tasks.run(
    `head/finish/mb${mb}`,
    `head.finish${suffix(mode)}`,
    {
      labels: c.rows("labels", mb),
      inverse_tokens: c.scalar("inverse_tokens", c.tasks.arena),
      losses: at(losses, mb * bytes),
      ...headState(c, mb, mode),
      ...(mode === "gradient" && gradient()),
    },
    { unit: mode === "gradient" ? c.units.norm : null },
  );
}

export function reduceLoss(c: StepContext): void {
  const outputs = c.onDevice ? "outputs.device" : "outputs";
  c.tasks.run("loss", "step.loss", {
    losses: at(c.tasks.name("losses")),
    inverse_tokens: c.scalar("inverse_tokens", c.tasks.arena),
    loss: at(outputs, outputPlaces.loss),
  });
  if (c.onDevice) c.tasks.copy("copy/loss", "d2h", at(outputs), at("outputs", outputPlaces.loss), 8);
}

function normalized(c: StepContext, mb: number): ValuePlace {
  const bytes = c.matrixBytes(c.inputs.numerics.activation);
  return at(c.tasks.value(`normalized/mb${mb}`, bytes, "activation"));
}

/** State of a micro-batch's online softmax, and of its gradient. */
function headState(c: StepContext, mb: number, mode: HeadMode): Readonly<Record<string, ValuePlace>> {
  const vector = c.vectorBytes("f32");
  const state = c.tasks.value(`softmax/mb${mb}`, 3 * vector, "activation");
  const places = { maximum: at(state), sum: at(state, vector), label_logit: at(state, 2 * vector) };
  if (mode === "loss") return places;
  const matrix = c.matrixBytes("f32");
  return {
    ...places,
    expected_row: at(c.tasks.value(`expected_row/mb${mb}`, matrix, "activation")),
    label_row: at(c.tasks.value(`label_row/mb${mb}`, matrix, "activation")),
  };
}

function suffix(mode: HeadMode): string {
  return mode === "gradient" ? "" : ".loss";
}
