/** The names of a plan: digests of canonical JSON, whatever the order of keys and however the text is cut. */
import { createHash } from "node:crypto";
import canonicalize from "canonicalize";
import fc from "fast-check";
import { expect, it } from "vitest";
import { estimateId, planId } from "../../schemas/plan-id.ts";

/** The digest of the text as a whole. */
function digest(value: unknown): string {
  return `sha256:${createHash("sha256").update(canonicalize(value)!).digest("hex")}`;
}

const json = fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue({ stringUnit: "grapheme" }));

it("hashes piece by piece what it would hash as a whole", () => {
  fc.assert(
    fc.property(json, (content) => {
      expect(planId({ content, meta: 1, plan_id: 2 })).toBe(digest({ content }));
    }),
  );
});

it("leaves out what is undefined, and keeps what is empty", () => {
  const plan = { b: undefined, a: { y: [], x: {}, z: [{ q: undefined }, null] } };
  expect(planId(plan)).toBe(digest(plan));
});

it("covers the profile and the predictions by a name of their own", () => {
  const plan = { meta: { hardware: { rate: 1 }, created: 2 }, predictions: [{ step_ns: 3 }], buffers: [] };
  expect(estimateId(plan)).toBe(digest({ hardware: { rate: 1 }, predictions: [{ step_ns: 3 }] }));
  expect(planId({ ...plan, predictions: [] })).toBe(planId(plan));
});

it("refuses what JSON cannot say", () => {
  expect(() => planId({ rate: Number.NaN })).toThrow();
  expect(() => planId({ list: [{ name: "\ud800" }] })).toThrow();
});
