/** What the three linear ops share: tiles, cost and the ceiling of their scratch. */
import type { AttributeDeclaration, CallShape } from "./define-op.ts";

/** Output tiles; they fix the order of every sum, so they come from the plan's `numerics` and never from the machine. */
export const linearTiles = {
  row_tile: { type: "i32", doc: "Rows of a sequence that one product covers." },
  column_tile: { type: "i32", doc: "Output columns that one product covers." },
} as const satisfies Record<string, AttributeDeclaration>;

export function linearFlops({ dims }: CallShape): number {
  return 2 * dims.B! * dims.S! * dims.N! * dims.K!;
}

/**
 * Per thread: one widened or packed tile of each factor and one f32 output tile, plus the matrix library's own
 * workspace (bounded by twice the packed tiles).
 */
export function linearScratch({ dims, attributes }: CallShape, threads: number): number {
  const rows = Math.min(dims.S!, attributes.row_tile!);
  const columns = Math.min(Math.max(dims.N!, dims.K!), attributes.column_tile!);
  const depth = Math.max(dims.N!, dims.K!, dims.S!);
  const tile = 4 * (rows * columns + columns * depth + rows * depth);
  return threads * (2 * tile + 65536);
}
