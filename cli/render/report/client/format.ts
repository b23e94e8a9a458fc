/** Text forms of the page; units as everywhere in lema. */
export { formatBytes, formatNanoseconds } from "../../../../schemas/units.ts";

/** Ticks at 1, 2 or 5 times a power of ten, at most `most` of them in [from, to]. */
export function ticks(from: number, to: number, most: number): number[] {
  const rough = (to - from) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((size) => size >= rough) ?? rough;
  const found: number[] = [];
  for (let tick = Math.ceil(from / step) * step; tick <= to; tick += step) found.push(tick);
  return found;
}

/** A moment of a step as an axis shows it: digits as fine as the ticks. */
export function formatTick(value: number, step: number): string {
  const [divisor, unit] = value >= 1e9 || step >= 1e8 ? [1e9, "s"] : step >= 1e5 ? [1e6, "ms"] : [1e3, "µs"];
  const digits = Math.max(0, Math.min(6, Math.ceil(-Math.log10(step / divisor) - 1e-9)));
  return `${(value / divisor).toFixed(digits)} ${unit}`;
}
