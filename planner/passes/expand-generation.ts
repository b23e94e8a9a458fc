/**
 * expand-generation: from units and a shape to the tasks of `prefill` and `decode`, in serial order.
 *
 * Guarantees: each block runs once a step, in dependency order, over its own cache; a streamed adapter comes one task
 * ahead of its use. Weights are named by unit, not yet by slot; no loads exist.
 */
import type { ProgramName } from "../../schemas/plan.ts";
import { bringAdapter, refreshAdapter } from "../ir/block-tasks.ts";
import { copyInputs, embed, ropeTables } from "../ir/embed-tasks.ts";
import { GenerationContext } from "../ir/generation-context.ts";
import { forward, head, zeroCache } from "../ir/generation-tasks.ts";
import type { Expanded, Shape, Task } from "../ir/schedule.ts";
import type { GenerationVariant } from "../shape/generation-variant.ts";

export function expandGeneration(variant: GenerationVariant, shape: Shape): Expanded {
  const procedures = variant.procedures(shape);
  const c = new GenerationContext(variant.inputs, variant.units, shape, procedures);
  const program = (name: ProgramName, emit: (c: GenerationContext) => void): readonly Task[] => {
    c.tasks.begin(name);
    emit(c);
    return c.tasks.end();
  };
  return {
    shape,
    programs: { decode: program("decode", step), prefill: program("prefill", step) },
    cycle: "decode",
    order: "round",
    beginning: program("decode", () => {
      for (const block of c.blocks) {
        refreshAdapter(c, block);
        zeroCache(c, block);
      }
    }),
    values: c.tasks.values.all,
    procedures: procedures.all,
  };
}

function step(c: GenerationContext): void {
  copyInputs(c);
  bringAdapter(c, 0, "up");
  for (const block of c.blocks) {
    if (block + 1 < c.blocks.length) bringAdapter(c, block + 1, "up");
    if (block === 0) {
      ropeTables(c, 0);
      embed(c, 0);
    }
    forward(c, block);
  }
  head(c);
}
