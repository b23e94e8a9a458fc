/** The plan's names are digests of what it says, so a plan that was edited is not the plan that it claims to be. */
import { estimateId, planId } from "../plan-id.ts";
import type { Report } from "./check.ts";

/** Digests cover fields that this version does not know, so they are taken of the plan as it was read. */
export function checkIds(plan: object, report: Report<"verify.plan-id">): void {
  const declared = plan as Readonly<Record<string, unknown>>;
  if (declared.plan_id !== planId(plan)) {
    report("verify.plan-id", "plan_id", "plan_id is not the digest of the plan: it was edited");
  }
  if (declared.estimate_id !== estimateId(plan)) {
    report(
      "verify.plan-id",
      "estimate_id",
      "estimate_id is not the digest of the profile and the predictions",
    );
  }
}
