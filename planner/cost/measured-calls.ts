/**
 * Times of calls from times that were measured at other shapes.
 *
 * How far a call stays behind its roofline changes slowly with its work. So the logarithm of measured ÷ roofline is
 * interpolated between the measured calls of the same op and product dtype, each weighted by the inverse cube of its
 * distance in the logarithms of operations, bytes read, bytes written and row length (Shepard 1968). At a measured shape
 * that is the measured time; far from all of them it is the nearest ones' efficiency.
 */
import type { HardwareProfile } from "../../schemas/hardware.ts";
import type { CallWork } from "./call-work.ts";

type MeasuredCall = NonNullable<HardwareProfile["compute"]["calls"]>[number];

/** Keeps a measured shape itself from dividing by zero; shapes this close count as the same. */
const NEARBY = 1e-6;

/** Measured ÷ roofline of some work, or null where its op has not been measured. */
export function measuredSlowdown(
  measured: readonly MeasuredCall[],
  rooflineOf: (work: CallWork) => number,
): (work: CallWork) => number | null {
  const points = new Map<string, { readonly at: readonly Coordinate[]; readonly slowdown: number }[]>();
  for (const call of measured) {
    const work = { ...call, product: call.product ?? null };
    const point = { at: coordinatesOf(work), slowdown: Math.log(call.ns / rooflineOf(work)) };
    const key = keyOf(work);
    points.set(key, [...(points.get(key) ?? []), point]);
  }
  return (work) => {
    const known = points.get(keyOf(work));
    if (known === undefined) return null;
    const at = coordinatesOf(work);
    let weights = 0;
    let sum = 0;
    for (const point of known) {
      const squared = at.reduce<number>((total, own, axis) => total + gap(own, point.at[axis]!) ** 2, NEARBY);
      const weight = 1 / (squared * Math.sqrt(squared));
      weights += weight;
      sum += weight * point.slowdown;
    }
    return Math.exp(sum / weights);
  };
}

const keyOf = ({ op, product }: CallWork): string => `${op} ${product}`;

/** A logarithm; undefined counts as any. */
type Coordinate = number | undefined;

function coordinatesOf({ flops, read, written, width }: CallWork): readonly Coordinate[] {
  return [flops, read, written, width].map((value) =>
    value === undefined ? undefined : Math.log(Math.max(1, value)),
  );
}

const gap = (a: Coordinate, b: Coordinate): number => (a === undefined || b === undefined ? 0 : a - b);
