/**
 * Which bytes of which buffer belong to which adapter parameter: its value, its gradient or one of its moments.
 *
 * With two tiers of memory a parameter also has replicas: where a copy to the device takes its value, and where the
 * device sums the gradient that a copy brings back. They are found by following the plan's copies one step.
 */
import { type AnyPlan, type GenerationPlan, type Place, type PlanParameter, programsOf } from "../plan.ts";
import { type Interval, IntervalMap } from "./intervals.ts";

export const parameterKeys = ["value", "gradient", "first_moment", "second_moment"] as const;
export type ParameterKey = (typeof parameterKeys)[number];

/** A parameter of any plan; one of a generation has a value alone. */
export type AnyParameter = PlanParameter | GenerationPlan["parameters"][number];

/** Where a parameter's value, and in a training its gradient and moments, are. */
export function parameterPlaces(parameter: AnyParameter): readonly (readonly [ParameterKey, Place])[] {
  const places: Partial<Record<ParameterKey, Place>> = parameter;
  return parameterKeys.flatMap((key) => (places[key] ? [[key, places[key]] as const] : []));
}

export interface ParameterBytes extends Interval {
  readonly parameter: AnyParameter;
  readonly key: ParameterKey;
  readonly replica: boolean;
}

interface Answer {
  readonly end: number;
  readonly found: readonly ParameterBytes[];
}

const NONE: readonly ParameterBytes[] = [];

export class ParameterMap {
  readonly #buffers = new Map<string, IntervalMap<ParameterBytes>>();
  /** The last answer for each buffer and start: the same operands are asked about again and again. */
  readonly #answers = new Map<string, Map<number, Answer>>();

  constructor(plan: AnyPlan) {
    for (const parameter of plan.parameters) {
      for (const [key, { buffer, offset }] of parameterPlaces(parameter)) {
        const end = offset + f32Bytes(parameter.shape);
        this.#add(buffer, { parameter, key, replica: false, start: offset, end });
      }
    }
    for (const [buffer, found] of this.#replicas(plan)) this.#add(buffer, found);
  }

  /** Whether any parameter has a byte in the buffer. */
  knows(buffer: string): boolean {
    return this.#buffers.has(buffer);
  }

  /** Parameters with a byte in the range [start, end) of a buffer. */
  within(buffer: string, start: number, end: number): readonly ParameterBytes[] {
    const answers = this.#answers.get(buffer);
    if (!answers) return NONE;
    const known = answers.get(start);
    if (known?.end === end) return known.found;
    const found: ParameterBytes[] = [];
    this.#buffers.get(buffer)!.visit(start, end, (_start, _end, own) => {
      if (own) found.push(own);
    });
    answers.set(start, { end, found });
    return found;
  }

  #replicas(plan: AnyPlan): [string, ParameterBytes][] {
    const steps = Object.values(programsOf(plan)).flatMap((one) => [
      ...one.prologue,
      ...one.steady,
      ...one.epilogue,
    ]);
    return steps.flatMap((instruction) => {
      if (instruction.kind !== "copy" || instruction.unit !== null) return [];
      const { lane, from, to, bytes } = instruction;
      const [own, other, key] = lane === "h2d" ? [from, to, "value"] : [to, from, "gradient"];
      return this.within(own.buffer, own.offset, own.offset + bytes)
        .filter((found) => found.key === key && !found.replica)
        .map((found): [string, ParameterBytes] => {
          const shift = other.offset - own.offset;
          return [
            other.buffer,
            { ...found, replica: true, start: found.start + shift, end: found.end + shift },
          ];
        });
    });
  }

  #add(buffer: string, bytes: ParameterBytes): void {
    const map = this.#buffers.get(buffer) ?? new IntervalMap();
    this.#buffers.set(buffer, map);
    map.assign(bytes.start, bytes.end, bytes);
    this.#answers.set(buffer, new Map());
  }
}

/** Adapter state is float32 in every precision. */
export function f32Bytes(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 4);
}
