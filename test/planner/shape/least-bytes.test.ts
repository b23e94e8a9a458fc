import { expect, it } from "vitest";
import { computeArena } from "../../../planner/ir/values.ts";
import { measure } from "../../../planner/passes/realize.ts";
import { placements, ringDepths, widestFloor } from "../../../planner/shape/floors.ts";
import { buildVariants } from "../../../planner/shape/training-variant.ts";
import { toyInputs } from "../toy.ts";

it.each([{ ram: 2 ** 32 }, { ram: 2 ** 32, vram: 2 ** 32 }])(
  "no floor of %j is below what its schedule takes",
  (memory) => {
    const bounded: number[] = [];
    for (const variant of buildVariants(toyInputs({ ...memory, length: 256 }))) {
      for (const portion of variant.portions) {
        for (const placement of placements(variant)) {
          for (const ring of ringDepths(variant)) {
            const shape = { ...widestFloor(variant, portion), ...placement, ring };
            const least = variant.leastBytes(shape);
            expect(least).toBeLessThanOrEqual(measure(variant, shape).bytes[computeArena(shape)]);
            bounded.push(least);
          }
        }
      }
    }
    expect(Math.max(...bounded)).toBeGreaterThan(0);
  },
);
