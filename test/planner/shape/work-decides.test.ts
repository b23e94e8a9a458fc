import { expect, it } from "vitest";
import { realize, realizeWork } from "../../../planner/passes/realize.ts";
import { floors } from "../../../planner/shape/floors.ts";
import { buildVariants } from "../../../planner/shape/training-variant.ts";
import { toyInputs } from "../toy.ts";

it.each([
  { ram: 2 ** 32 },
  { ram: 2 ** 32, vram: 2 ** 32 },
  { ram: 2 ** 32, vram: 2 ** 32, batch: 1, vocabulary: 4096 },
])(
  "with %j the programs of the work take the memory, and have the places, that they have in a whole plan",
  (options) => {
    for (const { variant, shape } of floors(buildVariants(toyInputs(options)))) {
      const whole = realize(variant, shape);
      const work = realizeWork(variant, shape);
      expect(work.arenas).toEqual(whole.arenas);
      const others = whole.buffers.filter(
        ({ lifetime }) => (lifetime?.program ?? "train-step") !== "train-step",
      );
      expect(others.length).toBeGreaterThan(0);
      expect(work.buffers).toEqual(whole.buffers.filter((buffer) => !others.includes(buffer)));
    }
  },
);
