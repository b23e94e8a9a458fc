/** Every way to spoil a plan that the tests know; each works on any plan. */
import type { Mutator } from "./mutator.ts";
import { formMutators } from "./mutators/form.ts";
import { memoryMutators } from "./mutators/memory.ts";
import { orderMutators } from "./mutators/order.ts";
import { procedureMutators } from "./mutators/procedures.ts";
import { weightMutators } from "./mutators/weights.ts";

export const mutators: readonly Mutator[] = [
  ...orderMutators,
  ...weightMutators,
  ...memoryMutators,
  ...procedureMutators,
  ...formMutators,
];
