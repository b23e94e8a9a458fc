/** What the ops that multiply matrices share: attributes, cost and the ceiling of their scratch. */
import { type AttributeDeclaration, type CallShape, type DType, roundUp } from "./define-op.ts";

/** The permission to round, of every op that multiplies matrices. */
export const f16Factors = {
  type: "i32",
  doc: "1: where factors are f32 they may be rounded to f16, each row (or column) of one scaled by a power of two so that it fits; 0: not.",
} as const satisfies AttributeDeclaration;

/** Upper limits of what one product covers; they come from the plan's `numerics` and never from the machine. */
export const linearTiles = {
  row_tile: { type: "i32", doc: "Rows of a sequence that one product covers." },
  column_tile: { type: "i32", doc: "Output columns that one product covers." },
  f16_factors: f16Factors,
} as const satisfies Record<string, AttributeDeclaration>;

export function linearFlops({ dims }: CallShape): number {
  return 2 * dims.B! * dims.S! * dims.N! * dims.K!;
}

/** One factor of a product: how often it has an exponent of its own, once for each row (or column) of each sequence. */
interface ScaledFactor {
  readonly dtype: DType;
  readonly outers: number;
}

/**
 * Ceiling of a product's scratch. On a processor, per thread one packed part of the right factor (at most 128 columns)
 * and one step of rows of the left one (at most 112), both over the whole depth and as f32; on a device that rounds
 * factors to f16, a byte for each exponent of those that are not f16 anyway.
 */
export function productScratch(
  { attributes }: CallShape,
  threads: number,
  { rows, columns, depth }: { readonly rows: number; readonly columns: number; readonly depth: number },
  factors: readonly ScaledFactor[],
): number {
  const part = roundUp(Math.min(columns, attributes.column_tile!, 128), 16);
  const step = roundUp(Math.min(rows, attributes.row_tile!, 112), 16);
  const packed = threads * (4 * depth * (part + step) + 64);
  const scaled = attributes.f16_factors === 1 ? factors.filter(({ dtype }) => dtype !== "f16") : [];
  return Math.max(
    packed,
    scaled.reduce((sum, { outers }) => sum + outers, 0),
  );
}
