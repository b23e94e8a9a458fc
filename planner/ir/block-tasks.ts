/**
 * Tasks of one block (a layer, or a stage of one): forward, backward, and what comes and goes around them: the input
 * put aside until the backward, the adapter, the gradient.
 */
import type { PlanContext } from "./plan-context.ts";
import type { ValuePlace } from "./schedule.ts";
import type { StepContext } from "./step-context.ts";
import { at } from "./values.ts";

/** Which of its two passes a block is in. */
export type Pass = "up" | "down";

export function forward(c: StepContext, block: number, mb: number): void {
  const saving = c.tasks.program === "train-step" && keeps(c, block);
  c.tasks.run(
    `fwd/${c.unitOf(block)}/mb${mb}`,
    `${c.nameOf(block)}.forward${saving ? ".saving" : ""}`,
    {
      x: c.stream(block, mb),
      y: c.stream(block + 1, mb),
      ...shared(c, block, mb, "up"),
      ...(saving && { saved: savedPlace(c, block, mb) }),
    },
    { unit: c.unitOf(block) },
  );
}

export function backward(c: StepContext, block: number, mb: number): void {
  const saved = keeps(c, block);
  c.tasks.run(
    `bwd/${c.unitOf(block)}/mb${mb}`,
    `${c.nameOf(block)}.backward${saved ? ".saved" : ""}`,
    {
      x: offloads(c, block) ? returned(c, block, mb) : c.stream(block, mb),
      grad: c.gradientStream(mb),
      ...(c.adapterBytes(block) > 0 && { gradient: gradientPlace(c, block) }),
      ...shared(c, block, mb, "down"),
      ...(saved && { saved: savedPlace(c, block, mb) }),
    },
    { unit: c.unitOf(block) },
  );
}

/** Puts the input of a block aside in ram, for its backward. */
export function putAside(c: StepContext, block: number, mb: number): void {
  if (!offloads(c, block)) return;
  const id = `save/${c.unitOf(block)}/mb${mb}`;
  c.tasks.copy(id, "d2h", c.stream(block, mb), aside(c, block, mb), c.matrixBytes("f32"));
}

/** Brings it back. */
export function bringBack(c: StepContext, block: number, mb: number): void {
  if (!offloads(c, block)) return;
  const id = `back/${c.unitOf(block)}/mb${mb}`;
  c.tasks.copy(id, "h2d", aside(c, block, mb), returned(c, block, mb), c.matrixBytes("f32"));
}

/** Brings a block's adapter from its master copy, where vram holds it only while the block runs. */
export function bringAdapter(c: PlanContext, block: number, pass: Pass): void {
  const bytes = c.adapterBytes(block);
  if (!c.onDevice || c.shape.adapter === "resident" || bytes === 0) return;
  const from = at("adapter", c.adapter.offsets[block]!);
  c.tasks.copy(`copy/adapter/${c.unitOf(block)}/${pass}`, "h2d", from, adapterPlace(c, block, pass), bytes);
}

/** A block's adapter from its master copy to the resident one in vram, after an update. */
export function refreshAdapter(c: PlanContext, block: number): void {
  const bytes = c.adapterBytes(block);
  if (!c.onDevice || c.shape.adapter === "streamed" || bytes === 0) return;
  const offset = c.adapter.offsets[block]!;
  const id = `copy/adapter/${c.unitOf(block)}`;
  c.tasks.copy(id, "h2d", at("adapter", offset), at("adapter.device", offset), bytes);
}

export function zeroGradient(c: StepContext, block: number): void {
  if (c.adapterBytes(block) === 0) return;
  c.tasks.run(`zero/${c.unitOf(block)}`, `${c.nameOf(block)}.zero`, { gradient: gradientPlace(c, block) });
}

/** Gradients of a block to the host, where the optimizer runs. */
export function flushGradient(c: StepContext, block: number): void {
  const bytes = c.adapterBytes(block);
  if (!c.onDevice || bytes === 0) return;
  const to = at(c.hostGradient(), c.adapter.offsets[block]!);
  c.tasks.copy(`flush/${c.unitOf(block)}`, "d2h", gradientPlace(c, block), to, bytes);
}

function keeps({ blocks, shape }: StepContext, block: number): boolean {
  return block >= blocks.length - shape.keep;
}

function offloads({ shape, tasks }: StepContext, block: number): boolean {
  return tasks.program === "train-step" && block < shape.offload;
}

function aside(c: StepContext, block: number, mb: number): ValuePlace {
  const name = `aside/${c.unitOf(block)}/mb${mb}`;
  return at(c.tasks.value(name, c.matrixBytes("f32"), "activation", "ram"));
}

function returned(c: StepContext, block: number, mb: number): ValuePlace {
  return at(c.tasks.value(`returned/${c.unitOf(block)}/mb${mb}`, c.matrixBytes("f32"), "activation"));
}

/** What every block reads: rope tables, segments, and its adapter. */
function shared(c: StepContext, block: number, mb: number, pass: Pass): Readonly<Record<string, ValuePlace>> {
  const tables = c.tasks.name(`tables/mb${mb}`);
  return {
    cosine: at(tables),
    sine: at(tables, c.tableBytes),
    segment_start: c.rows("segment_start", mb),
    ...(c.adapterBytes(block) > 0 && { adapter: adapterPlace(c, block, pass) }),
  };
}

export function adapterPlace(c: PlanContext, block: number, pass: Pass): ValuePlace {
  if (c.onDevice && c.shape.adapter === "streamed") {
    return at(c.tasks.value(`adapter/${c.unitOf(block)}/${pass}`, c.adapterBytes(block), "adapter"));
  }
  return at(c.onDevice ? "adapter.device" : "adapter", c.adapter.offsets[block]!);
}

/** Two tiers: the block's place in the one gradient buffer. Three: a short-lived buffer in vram, flushed to it. */
function gradientPlace(c: StepContext, block: number): ValuePlace {
  if (!c.onDevice) return at(c.hostGradient(), c.adapter.offsets[block]!);
  return at(c.tasks.value(`gradient/${c.unitOf(block)}`, c.adapterBytes(block), "gradient"));
}

function savedPlace(c: StepContext, block: number, mb: number): ValuePlace {
  const { bytes } = c.saved[c.inputs.model.blocks[block]!.graph]!;
  return at(c.tasks.value(`saved/${c.unitOf(block)}/mb${mb}`, bytes, "activation"));
}
