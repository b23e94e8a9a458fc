/** Every unit of a plan as a table row: where it is kept and what it costs each step. */
import type { Plan } from "../../schemas/plan.ts";
import { formatBytes } from "../../schemas/units.ts";
import type { Painter } from "./human.ts";
import { weightTraffic } from "./plan-facts.ts";
import { formatCount, formatTable } from "./table.ts";

export function renderLayers(plan: Plan, paint: Painter): string {
  const threeTiers = plan.shape.tiers === "disk-ram-vram";
  const head = ["unit", "bytes", "kept", `loads into ${plan.shape.compute_arena}`];
  const [title, ...rows] = formatTable(
    [
      [...head, ...(threeTiers ? ["reads from disk"] : []), "trained"],
      ...weightTraffic(plan).map(({ id, bytes, kept, loads, reads, parameters }) => [
        id,
        formatBytes(bytes),
        kept,
        zeroAsDash(loads),
        ...(threeTiers ? [zeroAsDash(reads)] : []),
        zeroAsDash(parameters),
      ]),
    ],
    "lrlrr",
    "  ",
  );
  return `${paint.bold("Layers")} (loads and reads per training step; trained: adapter values)\n${paint.dim(title!)}\n${rows.join("\n")}\n`;
}

function zeroAsDash(value: number): string {
  return value === 0 ? "–" : formatCount(value);
}
