/** What the three linear ops share: tiles, cost and the ceiling of their scratch. */
import { type AttributeDeclaration, type CallShape, roundUp } from "./define-op.ts";

/** Upper limits of what one product covers; they come from the plan's `numerics` and never from the machine. */
export const linearTiles = {
  row_tile: { type: "i32", doc: "Rows of a sequence that one product covers." },
  column_tile: { type: "i32", doc: "Output columns that one product covers." },
} as const satisfies Record<string, AttributeDeclaration>;

export function linearFlops({ dims }: CallShape): number {
  return 2 * dims.B! * dims.S! * dims.N! * dims.K!;
}

/**
 * Ceiling of a product's scratch: per thread one packed part of the right factor (at most 128 columns) and one step of
 * rows of the left one (at most 112), both over the whole depth and as f32.
 */
export function productScratch(
  { attributes }: CallShape,
  threads: number,
  { rows, columns, depth }: { readonly rows: number; readonly columns: number; readonly depth: number },
): number {
  const part = roundUp(Math.min(columns, attributes.column_tile!, 128), 16);
  const step = roundUp(Math.min(rows, attributes.row_tile!, 112), 16);
  return threads * (4 * depth * (part + step) + 64);
}
