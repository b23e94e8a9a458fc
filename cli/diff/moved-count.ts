/**
 * How many items have to move to turn one order into another: all but a longest increasing subsequence of their new
 * places (Fredman, "On computing the length of longest increasing subsequences", 1975).
 */
export function movedCount(places: readonly number[]): number {
  /** Least last place of an increasing subsequence of each length. */
  const ends: number[] = [];
  for (const place of places) {
    let [low, high] = [0, ends.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ends[middle]! < place) low = middle + 1;
      else high = middle;
    }
    ends[low] = place;
  }
  return places.length - ends.length;
}
