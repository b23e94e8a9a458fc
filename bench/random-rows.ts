/** Rows of random tokens, every position supervised: the same numbers for the same step. */
import type { StepInputs } from "../data/order.ts";
import { counterRandom } from "../schemas/counter-rng.ts";
import type { Plan } from "../schemas/plan.ts";

export function fillRows({ plan, step }: { plan: Plan; step: number }): StepInputs {
  const { batch_size, sequence_length } = plan.shape;
  const vocabulary = Number(plan.step_inputs.find(({ name }) => name === "tokens")!.range![1]) + 1;
  const count = batch_size * sequence_length;
  const random = counterRandom(step, "bench.rows");
  const tokens = Int32Array.from({ length: count }, (_, i) => Math.floor(random.float(i) * vocabulary));
  const labels = Int32Array.from(tokens, (_, i) => ((i + 1) % sequence_length === 0 ? -100 : tokens[i + 1]!));
  return {
    tokens,
    labels,
    positions: Int32Array.from({ length: count }, (_, i) => i % sequence_length),
    segmentStart: new Int32Array(count),
    supervisedTokens: batch_size * (sequence_length - 1),
  };
}
