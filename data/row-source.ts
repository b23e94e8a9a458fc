/**
 * Rows that are laid out when they are asked for, so that a training keeps 8 bytes a sample and 8 a row in memory,
 * however many tokens they have: the budget's reserve is for the process, not for its dataset.
 */
import { fillRows, type Layout, type PackedDataset } from "./pack.ts";
import { type Samples, sampleLength } from "./samples.ts";

export interface RowSource {
  readonly sequenceLength: number;
  readonly rows: number;
  /** `[rows]`: labels of the row other than −100. */
  readonly supervised: Int32Array;
  /** Over all rows: positions and positions of their segment up to them, in which attention sees one from the other. */
  readonly attendedPairs: number;
  /** These rows, in the order given. */
  read(rows: Uint32Array): PackedDataset;
}

/** The rows of `layout`; `supervised` counts the supervised tokens of each sample within `sequenceLength`. */
export function rowSource(
  samples: Samples,
  layout: Layout,
  { sequenceLength, padId, supervised }: { sequenceLength: number; padId: number; supervised: Uint32Array },
): RowSource {
  // Flat: as many small arrays as there are rows would take more than their numbers.
  const members = Uint32Array.from(layout.flat());
  const starts = new Uint32Array(layout.length + 1);
  for (const [row, { length }] of layout.entries()) starts[row + 1] = starts[row]! + length;
  const attendedPairs = layout.reduce((sum, own) => {
    const lengths = own.map((i) => Math.min(sampleLength(samples, i), sequenceLength));
    const padding = sequenceLength - lengths.reduce((total, length) => total + length, 0);
    return [...lengths, padding].reduce((pairs, length) => pairs + (length * (length + 1)) / 2, sum);
  }, 0);
  const membersOf = (row: number): Uint32Array => members.subarray(starts[row], starts[row + 1]);
  return {
    sequenceLength,
    rows: layout.length,
    attendedPairs,
    supervised: Int32Array.from({ length: layout.length }, (_, row) =>
      membersOf(row).reduce((sum, i) => sum + supervised[i]!, 0),
    ),
    read: (rows) => {
      const chosen = Array.from(rows, (row) => Array.from(membersOf(row)));
      return fillRows(samples, chosen, sequenceLength, padId);
    },
  };
}
