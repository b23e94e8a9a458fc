import { cacheHoldsStep, stepLengths } from "./attention-common.ts";
import { defineOp } from "./define-op.ts";

/** Writes the keys or values of new positions behind those that the cache holds; every other row stays as it is. */
export const cacheAppend = defineOp({
  name: "cache_append",
  doc: "cache[b, kv_length + s] = rows[b, s] for s < new_tokens.",
  source: "Pope et al. 2022, section 3.3",
  operands: {
    rows: { access: "read", shape: ["B", "S", "G", "D"], dtypes: ["f32"], doc: "Keys, rotated, or values." },
    ...stepLengths,
    cache: { access: "update", shape: ["B", "C", "G", "D"], dtypes: ["f32"], doc: "Room for C positions." },
  },
  attributes: {},
  constraints: [cacheHoldsStep],
  flops: () => 0,
  backward: null,
});
