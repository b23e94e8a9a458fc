/** What is supposed of a floor before it is measured is no more than what its schedule takes and does. */
import { expect, it } from "vitest";
import { measure } from "../../../planner/passes/realize.ts";
import { countWork, LINKS, leastWork, PHASES } from "../../../planner/shape/floor-work.ts";
import { placements, ringDepths, widestFloor } from "../../../planner/shape/floors.ts";
import { buildVariants } from "../../../planner/shape/training-variant.ts";
import { toyInputs } from "../toy.ts";

const memories = [{ ram: 2 ** 32 }, { ram: 2 ** 32, vram: 2 ** 32 }];

function floorsWithin(memory: (typeof memories)[number]) {
  return buildVariants(toyInputs({ ...memory, length: 256 })).flatMap((variant) =>
    variant.portions.flatMap((portion) =>
      placements(variant).flatMap((placement) =>
        ringDepths(variant).map((ring) => {
          return { variant, shape: { ...widestFloor(variant, portion), ...placement, ring } };
        }),
      ),
    ),
  );
}

it.each(memories)("no floor of %j is below what its schedule takes", (memory) => {
  const floors = floorsWithin(memory);
  const shares = floors.map(({ variant, shape }) => {
    const least = variant.leastBytes(shape);
    const { bytes } = measure(variant, shape);
    expect(least.ram).toBeLessThanOrEqual(bytes.ram);
    expect(least.vram).toBeLessThanOrEqual(bytes.vram);
    return (least.ram + least.vram) / (bytes.ram + bytes.vram);
  });
  expect(Math.min(...shares)).toBeGreaterThan(0.25);
});

it.each(memories)("no floor of %j does less than is supposed", (memory) => {
  for (const { variant, shape } of floorsWithin(memory)) {
    const least = leastWork(variant, shape)!;
    const counted = countWork(variant, measure(variant, shape).rolled);
    for (const phase of PHASES) {
      const [some, all] = [least, counted].map(({ phases }) => Math.round(phases[phase].compute));
      expect(some).toBeGreaterThan(0.8 * all!);
      expect(some).toBeLessThanOrEqual(all!);
      for (const link of LINKS) {
        expect(least.phases[phase].bytes[link]).toBeLessThanOrEqual(counted.phases[phase].bytes[link]);
      }
    }
    expect(least.ends).toBeLessThanOrEqual(counted.ends);
    expect(least.rows.ends).toBeLessThanOrEqual(counted.rows.ends);
    expect(least.rows.ends).toBeGreaterThan(0);
  }
});
