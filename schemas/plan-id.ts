/**
 * The two names of a plan. `plan_id` covers everything that decides what a run does; `estimate_id` covers what was
 * believed about the machine when the plan was made. Paths and wall-clock time (`meta`) are in neither.
 */
import { createHash } from "node:crypto";
import { forEachPiece } from "./canonical-json.ts";

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

/** Letters: a call for each piece takes longer than the hash. */
const HASHED_AT_ONCE = 2 ** 15;

function digestOf(value: PlanFields): string {
  const hash = createHash("sha256");
  let pieces = "";
  forEachPiece(value, (text) => {
    pieces += text;
    if (pieces.length < HASHED_AT_ONCE) return;
    hash.update(pieces);
    pieces = "";
  });
  return `sha256:${hash.update(pieces).digest("hex")}`;
}
