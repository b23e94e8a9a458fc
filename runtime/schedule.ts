/**
 * The learning rate of each optimizer step, as Transformers' `get_constant_schedule_with_warmup`,
 * `get_linear_schedule_with_warmup` and `get_cosine_schedule_with_warmup` give it. The first step is step 0, so with a
 * warm-up it has learning rate 0, as there.
 */
import type { Plan } from "../schemas/plan.ts";

export type Schedule = Pick<Plan["training"], "learning_rate" | "schedule" | "steps">;

/** Learning rate of step `step` (from 0), in double precision. */
export function learningRate(schedule: Schedule, step: number): number {
  return schedule.learning_rate * factor(schedule, step);
}

function factor({ schedule, steps }: Schedule, step: number): number {
  const { type, warmup_steps: warmup } = schedule;
  if (step < warmup) return step / Math.max(1, warmup);
  const decaySteps = Math.max(1, steps - warmup);
  switch (type) {
    case "constant":
      return 1;
    case "linear":
      return Math.max(0, (steps - step) / decaySteps);
    case "cosine":
      return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * ((step - warmup) / decaySteps))));
  }
}
