/**
 * The two names of a plan. `plan_id` covers everything that decides what a run does; `estimate_id` covers what was
 * believed about the machine when the plan was made. Paths and wall-clock time (`meta`) are in neither.
 */
import { createHash, type Hash } from "node:crypto";
import canonicalize from "canonicalize";
import { invariant } from "./diagnostic.ts";

type PlanFields = Readonly<Record<string, unknown>>;

/** Fields that name the plan, describe the machine or predict its speed: none of them changes what a run does. */
const outsidePlanId: ReadonlySet<string> = new Set([
  "plan_id",
  "estimate_id",
  "meta",
  "predictions",
  "hardware",
]);

/** `sha256:…` over the canonical JSON (RFC 8785) of the plan without ids, meta, predictions and hardware. */
export function planId(plan: object): string {
  const fields = Object.entries(plan as PlanFields).filter(([key]) => !outsidePlanId.has(key));
  return digestOf(Object.fromEntries(fields));
}

/** `sha256:…` over the canonical JSON of the hardware profile (in `meta`) and the predictions made with it. */
export function estimateId(plan: object): string {
  const { meta, predictions } = plan as PlanFields;
  return digestOf({ hardware: (meta as PlanFields).hardware, predictions });
}

function digestOf(value: PlanFields): string {
  const hash = createHash("sha256");
  hashCanonical(hash, value);
  return `sha256:${hash.digest("hex")}`;
}

/**
 * Hashes the canonical JSON of a value. Objects are walked down to their arrays, and those item by item, so that the
 * text of a whole plan never exists.
 */
function hashCanonical(hash: Hash, value: unknown): void {
  if (Array.isArray(value)) {
    value.forEach((item, index) => {
      hash.update(`${index === 0 ? "[" : ","}${canonicalText(item)}`);
    });
    hash.update(value.length === 0 ? "[]" : "]");
  } else if (typeof value === "object" && value !== null) {
    const fields = value as PlanFields;
    const keys = Object.keys(fields).filter((key) => fields[key] !== undefined);
    hash.update("{");
    for (const [index, key] of keys.sort().entries()) {
      hash.update(`${index === 0 ? "" : ","}${canonicalText(key)}:`);
      hashCanonical(hash, fields[key]);
    }
    hash.update("}");
  } else hash.update(canonicalText(value));
}

function canonicalText(value: unknown): string {
  const text = canonicalize(value);
  invariant(text !== undefined, "a plan is always serializable");
  return text;
}
