/**
 * The plan's names are digests of what it says, so a plan that was edited is not the plan that it claims to be; and its
 * ops are the ops of this lema. Digests cover fields that this version does not know, so they are taken of the plan as
 * it was read.
 */
import { opTableHash } from "../op-table.ts";
import { estimateId, planId } from "../plan-id.ts";
import type { Report } from "./check.ts";

export function checkIds(plan: object, report: Report<"verify.plan-id" | "verify.op-table">): void {
  const declared = plan as Readonly<Record<string, unknown>>;
  if (declared.plan_id !== digest(planId, plan)) {
    report("verify.plan-id", "plan_id", "plan_id is not the digest of the plan: it was edited");
  }
  if (declared.estimate_id !== digest(estimateId, plan)) {
    const summary = "estimate_id is not the digest of the profile and the predictions";
    report("verify.plan-id", "estimate_id", summary);
  }
  if (declared.op_table !== opTableHash()) {
    report("verify.op-table", "op_table", "the plan was made with another op table than this lema has");
  }
}

/** A value that JSON cannot express has no digest: canonicalization throws on it. */
function digest(of: (plan: object) => string, plan: object): string | null {
  try {
    return of(plan);
  } catch {
    return null;
  }
}
