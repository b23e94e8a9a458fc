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
  const saving = c.tasks.program === "train-step" && c.keeping.of(block, mb) !== null;
  c.tasks.run(
    `fwd/${c.unitOf(block)}/mb${mb}`,
    `${c.nameOf(block)}.forward${saving ? ".saving" : ""}`,
    {
      x: c.stream(block, mb),
      y: c.stream(block + 1, mb),
      ...shared(c, block, mb, "up"),
      ...(saving && { saved: at(savedIn(c, block, mb)) }),
    },
    { unit: c.unitOf(block), scratch: "forward" },
  );
}

export function backward(c: StepContext, block: number, mb: number): void {
  const kept = c.keeping.of(block, mb);
  c.tasks.run(
    `bwd/${c.unitOf(block)}/mb${mb}`,
    `${c.nameOf(block)}.backward${kept ? ".saved" : ""}`,
    {
      x: offloads(c, block) ? returned(c, block, mb) : c.stream(block, mb),
      grad: c.gradientStream(mb),
      ...(c.adapterBytes(block) > 0 && { gradient: gradientPlace(c, block) }),
      ...shared(c, block, mb, "down"),
      ...(kept && { saved: at(savedAgain(c, block, mb)) }),
    },
    { unit: c.unitOf(block), scratch: "backward" },
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

/** Puts the activations that a forward has saved aside in ram, where they are kept there. */
export function putActivationsAside(c: StepContext, block: number, mb: number): void {
  if (c.tasks.program !== "train-step" || c.keeping.of(block, mb) !== "ram") return;
  const id = `save/activations/${c.unitOf(block)}/mb${mb}`;
  copySaved(c, block, { id, lane: "d2h", from: savedIn(c, block, mb), to: savedAside(c, block, mb) });
}

/** Brings them back. */
export function bringActivationsBack(c: StepContext, block: number, mb: number): void {
  const id = `back/activations/${c.unitOf(block)}/mb${mb}`;
  copySaved(c, block, { id, lane: "h2d", from: savedAside(c, block, mb), to: savedAgain(c, block, mb) });
}

/** In one piece where alignment leaves no gaps between the activations, which hold nothing that could be copied. */
function copySaved(
  c: StepContext,
  block: number,
  copy: { readonly id: string; readonly lane: "h2d" | "d2h"; readonly from: string; readonly to: string },
): void {
  const { filled } = savedLayout(c, block);
  filled.forEach(({ from, to }, index) => {
    const id = filled.length === 1 ? copy.id : `${copy.id}/${index + 1}`;
    c.tasks.copy(id, copy.lane, at(copy.from, from), at(copy.to, from), to - from);
  });
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

function offloads({ shape, tasks }: StepContext, block: number): boolean {
  return tasks.program === "train-step" && block < shape.offload;
}

function aside(c: StepContext, block: number, mb: number): ValuePlace {
  return c.placeOf("aside", block, mb, () => {
    const name = `aside/${c.unitOf(block)}/mb${mb}`;
    return at(c.tasks.value(name, c.matrixBytes("f32"), "activation", "ram"));
  });
}

function returned(c: StepContext, block: number, mb: number): ValuePlace {
  return c.placeOf("returned", block, mb, () =>
    at(c.tasks.value(`returned/${c.unitOf(block)}/mb${mb}`, c.matrixBytes("f32"), "activation")),
  );
}

/** What every block reads: rope tables, segments, and its adapter. */
function shared(c: StepContext, block: number, mb: number, pass: Pass): Readonly<Record<string, ValuePlace>> {
  const { tasks } = c;
  const tables = () => tasks.name(`tables/mb${mb}`);
  return {
    cosine: tasks.place("cosine", mb, () => at(tables())),
    sine: tasks.place("sine", mb, () => at(tables(), c.tableBytes)),
    segment_start: tasks.place("segment_start", mb, () => c.rows("segment_start", mb)),
    ...(c.adapterBytes(block) > 0 && { adapter: adapterPlace(c, block, pass) }),
  };
}

export function adapterPlace(c: PlanContext, block: number, pass: Pass): ValuePlace {
  return c.tasks.place(pass === "up" ? "adapter up" : "adapter down", block, () => {
    if (c.onDevice && c.shape.adapter === "streamed") {
      return at(c.tasks.value(`adapter/${c.unitOf(block)}/${pass}`, c.adapterBytes(block), "adapter"));
    }
    return at(c.onDevice ? "adapter.device" : "adapter", c.adapter.offsets[block]!);
  });
}

/** Two tiers: the block's place in the one gradient buffer. Three: a short-lived buffer in vram, flushed to it. */
function gradientPlace(c: StepContext, block: number): ValuePlace {
  return c.tasks.place("gradient", block, () => {
    if (!c.onDevice) return at(c.hostGradient(), c.adapter.offsets[block]!);
    return at(c.tasks.value(`gradient/${c.unitOf(block)}`, c.adapterBytes(block), "gradient"));
  });
}

function savedLayout({ saved, inputs }: StepContext, block: number): StepContext["saved"][number] {
  return saved[inputs.model.blocks[block]!.graph]!;
}

/** Where the forward leaves activations that are kept. */
function savedIn(c: StepContext, block: number, mb: number): string {
  if (c.keeping.of(block, mb) === "ram") return passingActivations(c, c.keeping.slotUp(block, mb));
  return c.tasks.value(`saved/${c.unitOf(block)}/mb${mb}`, savedLayout(c, block).bytes, "activation");
}

/** Where they wait in ram. */
function savedAside(c: StepContext, block: number, mb: number): string {
  const name = `saved.aside/${c.unitOf(block)}/mb${mb}`;
  return c.tasks.value(name, savedLayout(c, block).bytes, "activation", "ram");
}

/** Where the backward finds them. */
function savedAgain(c: StepContext, block: number, mb: number): string {
  if (c.keeping.of(block, mb) === "ram") return passingActivations(c, c.keeping.slotDown(block, mb));
  return savedIn(c, block, mb);
}

/** A slot for the largest: alive all the time, so that nothing else waits for a copy to leave its bytes. */
function passingActivations(c: StepContext, slot: number): string {
  const bytes = Math.max(...c.saved.map((layout) => layout.bytes));
  return c.tasks.value(`saved.passing/${slot}`, bytes, "activation");
}
