/** A plan of one given shape: `compile` without the choice, for tests that ask what a shape does. */
import type { Shape } from "../../planner/ir/schedule.ts";
import { boundTraffic } from "../../planner/passes/bound-traffic.ts";
import { emit } from "../../planner/passes/emit.ts";
import { effectContext, realize } from "../../planner/passes/realize.ts";
import { seal } from "../../planner/passes/seal.ts";
import { simulate } from "../../planner/passes/simulate.ts";
import { sync } from "../../planner/passes/sync.ts";
import { widestFloor } from "../../planner/shape/floors.ts";
import type { TrainingVariant } from "../../planner/shape/training-variant.ts";
import type { Plan } from "../../schemas/plan.ts";

export function planWithShape(variant: TrainingVariant, shape: Shape): Plan {
  const { inputs, units } = variant;
  const laidOut = realize(variant, shape);
  const context = effectContext(variant, laidOut);
  const programs = emit(inputs, sync(laidOut, context), context);
  const bounds = boundTraffic(laidOut, units, programs);
  const predictions = simulate(programs, laidOut.procedures, inputs);
  const given = { name: "shape", chosen: "as given", reason: "", recipe_path: null };
  return seal({
    inputs,
    units,
    laidOut,
    programs,
    predictions,
    bounds,
    choice: { decisions: [given], candidates: [] },
  });
}

/** A shape that differs from the widest floor in the given ways. */
export function shapeOf(variant: TrainingVariant, { microBatch = 1, ...changes }: Partial<Shape>): Shape {
  return { ...widestFloor(variant, { microBatch, chunk: 0 }), ...changes };
}
