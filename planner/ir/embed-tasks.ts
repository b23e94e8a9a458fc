/** Tasks at the bottom of a step: its inputs, rope tables, and the first residual stream. */
import type { PlanContext } from "./plan-context.ts";
import { tensorByName } from "./units.ts";
import { at } from "./values.ts";

/** Step inputs to vram. */
export function copyInputs({ tasks, onDevice, inputBytes }: PlanContext): void {
  if (onDevice) tasks.copy("copy/inputs", "h2d", at("inputs"), at("inputs.device"), inputBytes);
}

export function ropeTables(c: PlanContext, mb: number): void {
  const half = c.tableBytes;
  const tables = c.tasks.value(`tables/mb${mb}`, 2 * half, "activation");
  c.tasks.run(`tables/mb${mb}`, `tables${c.suffix}`, {
    positions: c.positionInput("positions", mb),
    inverse_frequencies: at("constants"),
    cosine: at(tables),
    sine: at(tables, half),
  });
}

/** Rows of the embedding table, from the resident table or from disk. */
export function embed(c: PlanContext, mb: number): void {
  const { tasks, shape } = c;
  const y = c.stream(0, mb);
  if (shape.embedding === "resident") {
    const unit = c.units.embedding;
    tasks.run(`embed/mb${mb}`, `embed${c.suffix}`, { tokens: c.positionInput("tokens", mb), y }, { unit });
    return;
  }
  const { storage, name } = tensorByName(c.inputs, c.inputs.model.embedding);
  const bytes = c.matrixBytes(storage);
  const rows = tasks.value(`rows/mb${mb}`, bytes, "activation", "ram");
  tasks.gather(`gather/mb${mb}`, name, { buffer: "inputs", ...c.rowRange("tokens", mb) }, at(rows));
  tasks.run(`embed/mb${mb}`, `embed${c.suffix}`, {
    rows: at(tasks.toDevice(`rows/mb${mb}`, rows, bytes)),
    y,
  });
}
