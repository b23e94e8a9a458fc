/**
 * The scalars of a step: what the kernels need of AdamW's counter, the learning rate and the token count. Computed in
 * double precision and rounded once to float32, in the order of torch.optim.AdamW (single tensor).
 */
import type { Plan, stepScalars } from "../schemas/plan.ts";

export type StepScalars = Readonly<Record<(typeof stepScalars)[number]["name"], number>>;

export interface ScalarSources {
  readonly optimizer: Plan["training"]["optimizer"];
  readonly learningRate: number;
  /** Updates applied before this one. */
  readonly adamSteps: number;
  /** Of the whole optimizer step. */
  readonly supervisedTokens: number;
}

/** Values are float32. */
export function scalarsOf({
  optimizer,
  learningRate,
  adamSteps,
  supervisedTokens,
}: ScalarSources): StepScalars {
  const t = adamSteps + 1;
  const { beta1, beta2, weight_decay } = optimizer;
  return {
    inverse_tokens: inverseTokens(supervisedTokens),
    step_size: Math.fround(learningRate / (1 - beta1 ** t)),
    decay: Math.fround(1 - learningRate * weight_decay),
    bias_correction: Math.fround(Math.sqrt(1 - beta2 ** t)),
  };
}

/** float32 of 1 / tokens; 0 where nothing is supervised, so that the loss is 0 and not NaN. */
export function inverseTokens(supervisedTokens: number): number {
  return supervisedTokens === 0 ? 0 : Math.fround(1 / supervisedTokens);
}
