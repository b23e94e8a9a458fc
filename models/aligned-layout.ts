/**
 * A safetensors file in which what is read together stands together: units in their order of use, each from a multiple
 * of 4096 bytes on, so that a read past the page cache needs no more than the unit; each tensor at a multiple of 64.
 *
 * The format allows no holes, so padding is tensors too: `lema.padding.N`, zero bytes that no model uses. Models whose
 * sizes are round have none.
 */
import { invariant } from "../schemas/diagnostic.ts";
import { alignUp } from "../schemas/units.ts";
import { placedHeader, type SafetensorsLayout, type TensorSpec } from "./safetensors-writer.ts";
import { bytesOf } from "./shards.ts";

/** A page and the largest block of a disk. */
export const UNIT_ALIGNMENT = 4096;
const TENSOR_ALIGNMENT = 64;
const PADDING = "lema.padding.";

export interface AlignedLayout extends SafetensorsLayout {
  /** Names of the tensors that only fill. */
  readonly padding: readonly string[];
}

/** Whether a tensor only fills. */
export function isPadding(name: string): boolean {
  return name.startsWith(PADDING);
}

/** Places `units`, each a list of tensors, one after the other; the file ends at a multiple of 4096 too. */
export function layoutAligned(units: readonly (readonly TensorSpec[])[]): AlignedLayout {
  const placed: (TensorSpec & { readonly offset: number })[] = [];
  const padding: string[] = [];
  let end = 0;
  const fillTo = (offset: number): void => {
    if (offset === end) return;
    const name = `${PADDING}${padding.length}`;
    placed.push({ name, dtype: "U8", shape: [offset - end], offset: end });
    padding.push(name);
    end = offset;
  };
  for (const unit of units) {
    fillTo(alignUp(end, UNIT_ALIGNMENT));
    for (const { name, dtype, shape } of unit) {
      invariant(!isPadding(name), `${name} is a name of padding`);
      fillTo(alignUp(end, TENSOR_ALIGNMENT));
      placed.push({ name, dtype, shape, offset: end });
      end += bytesOf({ dtype, shape });
    }
  }
  fillTo(alignUp(end, UNIT_ALIGNMENT));
  const header = placedHeader(placed, { format: "pt" }, UNIT_ALIGNMENT);
  return {
    header,
    tensors: placed.map((tensor) => ({
      ...tensor,
      offset: header.length + tensor.offset,
      bytes: bytesOf(tensor),
    })),
    fileBytes: header.length + end,
    padding,
  };
}
