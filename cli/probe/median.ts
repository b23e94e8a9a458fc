/** What repeated measurements of one thing come to. */

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value below which `share` of the sorted values lie, interpolated between neighbours. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const [low, high] = [sorted[below]!, sorted[Math.min(below + 1, sorted.length - 1)]!];
  return low + (at - below) * (high - low);
}
