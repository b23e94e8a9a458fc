/**
 * The op table as data: what the native side must agree on, without functions and prose. Its digest stands in every
 * plan and in the native module; a mismatch is refused.
 */
import { createHash } from "node:crypto";
import { canonicalJson } from "./canonical-json.ts";
import { ops } from "./ops/index.ts";

/** Ops in native order, each with its operands and attributes in declaration order. */
export function opTable() {
  return ops.map(({ name, operands, attributes }) => ({
    name,
    operands: Object.entries(operands).map(
      ([operand, { access, accumulable, optional, shape, dtypes, sameDTypeAs }]) => ({
        name: operand,
        access,
        accumulable: accumulable ?? false,
        optional: optional ?? false,
        shape: [...shape],
        dtypes: [...dtypes],
        same_dtype_as: sameDTypeAs ?? null,
      }),
    ),
    attributes: Object.entries(attributes).map(([attribute, { type }]) => ({ name: attribute, type })),
  }));
}

/** `sha256:…` of the canonical JSON (RFC 8785) of {@link opTable}. */
export function opTableHash(): string {
  return `sha256:${createHash("sha256").update(canonicalJson(opTable())).digest("hex")}`;
}
