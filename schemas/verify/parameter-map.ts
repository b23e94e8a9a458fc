/** Which bytes of which buffer belong to which adapter parameter: its value, its gradient or one of its moments. */
import type { Plan, PlanParameter } from "../plan.ts";
import { IntervalMap } from "./intervals.ts";

export const parameterKeys = ["value", "gradient", "first_moment", "second_moment"] as const;
export type ParameterKey = (typeof parameterKeys)[number];

export interface ParameterBytes {
  readonly parameter: PlanParameter;
  readonly key: ParameterKey;
}

export class ParameterMap {
  readonly #buffers = new Map<string, IntervalMap<ParameterBytes>>();

  constructor({ parameters }: Plan) {
    for (const parameter of parameters) {
      for (const key of parameterKeys) {
        const { buffer, offset } = parameter[key];
        const map = this.#buffers.get(buffer) ?? new IntervalMap();
        this.#buffers.set(buffer, map);
        map.assign(offset, offset + f32Bytes(parameter.shape), { parameter, key });
      }
    }
  }

  /** Parameters with a byte in the range [start, end) of a buffer. */
  within(buffer: string, start: number, end: number): ParameterBytes[] {
    const pieces = this.#buffers.get(buffer)?.pieces(start, end) ?? [];
    return pieces.flatMap(({ value }) => value ?? []);
  }
}

/** Adapter state is float32 in every precision. */
export function f32Bytes(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 4);
}
