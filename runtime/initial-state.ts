/** What the arenas hold before the first step of a new training: adapter values, and moments of zero. */

import { encodeFloats } from "../models/float-codec.ts";
import { initLora } from "../models/lora.ts";
import { invariant } from "../schemas/diagnostic.ts";
import { elements } from "../schemas/ops/define-op.ts";
import type { Plan } from "../schemas/plan.ts";
import type { WritePlace } from "./resume.ts";

/**
 * Writes every parameter and its moments. `adapter` holds the values of an existing adapter by PEFT's names; without
 * one, values begin as PEFT's do.
 */
export async function writeInitialState(
  { parameters, inputs }: Plan,
  adapter: ReadonlyMap<string, Float32Array> | null,
  write: WritePlace,
): Promise<void> {
  for (const parameter of parameters) {
    const { name, shape, value, first_moment, second_moment } = parameter;
    const values = adapter === null ? initLora(inputs.seed, parameter) : adapter.get(name);
    invariant(
      values?.length === elements(shape),
      `the starting adapter has no ${name} [${shape.join(", ")}]`,
    );
    await write(value, encodeFloats(values, "f32"));
    const zeros = new Uint8Array(4 * elements(shape));
    await write(first_moment, zeros);
    await write(second_moment, zeros);
  }
}
