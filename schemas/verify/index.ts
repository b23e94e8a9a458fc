/**
 * The plan verifier: proves from plan.json alone that a plan is safe and means what it says. It shares no code with
 * the planner and believes nothing that it can compute: effects, sizes, flops, order, contents and bounds are derived
 * again from instructions, procedures and the op table.
 *
 * The checks build on each other in three stages (form, references, everything else); a stage that fails ends the
 * verification, because what follows would only repeat its faults.
 */
import type { Diagnostic } from "../diagnostic.ts";
import { type AnyPlan, PLAN_FORMAT_VERSION, schemaOf } from "../plan.ts";
import { type Check, type Report, Violations } from "./check.ts";
import { checkBudgets, checkBuffers, checkPlaces } from "./check-arenas.ts";
import { checkBounds } from "./check-bounds.ts";
import { checkCalls } from "./check-calls.ts";
import { checkContents } from "./check-contents.ts";
import { checkBindings, checkEffects, checkFileRanges } from "./check-effects.ts";
import { checkGeneration } from "./check-generation.ts";
import { checkIds } from "./check-ids.ts";
import { checkOptimizer } from "./check-optimizer.ts";
import { checkOrder } from "./check-order.ts";
import { checkSemantics } from "./check-semantics.ts";
import { checkSinks, checkState } from "./check-state.ts";
import { checkOps, checkStructure } from "./check-structure.ts";
import { checkTensors, checkUnits } from "./check-tensors.ts";
import { PlanIndex } from "./plan-index.ts";

/** Ids resolve; without them nothing else can be asked. */
const referenceChecks: readonly Check[] = [checkStructure, checkOps];

/** Independent of each other. */
const meaningChecks: readonly Check[] = [
  checkTensors,
  checkUnits,
  checkBuffers,
  checkBudgets,
  checkPlaces,
  checkCalls,
  checkEffects,
  checkBindings,
  checkFileRanges,
  checkState,
  checkSinks,
  checkOrder,
  checkContents,
  checkSemantics,
  checkOptimizer,
  checkGeneration,
  checkBounds,
];

/** Every check, in the order in which they run; for the documentation. */
export const checks: readonly Check[] = [...referenceChecks, ...meaningChecks];

/** What is wrong with a plan; empty for a plan that is proved. Never throws, whatever it is given. */
export function verify(plan: unknown): Diagnostic[] {
  const violations = new Violations();
  const { report } = violations;
  if (!knownFormat(plan, report)) return violations.list();
  const parsed = schemaOf(plan).safeParse(plan);
  if (!parsed.success) {
    for (const { path, message } of parsed.error.issues) {
      report("verify.schema", path.join("."), `${path.join(".")}: ${message}`);
    }
    return violations.list();
  }
  checkIds(plan as object, report);
  proveMeaning(parsed.data, violations);
  return violations.list();
}

/** The same of a plan that was made a moment ago: its form is that of its type, and its ids are what they were made of. */
export function verifyMeaning(plan: AnyPlan): Diagnostic[] {
  const violations = new Violations();
  proveMeaning(plan, violations);
  return violations.list();
}

function proveMeaning(plan: AnyPlan, violations: Violations): void {
  const { report } = violations;
  const index = new PlanIndex(plan);
  for (const check of referenceChecks) check.run(index, report);
  if (violations.has("verify.duplicate-id", "verify.reference", "verify.binding")) return;
  for (const check of meaningChecks) check.run(index, report);
}

/** A later minor version only adds fields; a later major version may change their meaning. */
function knownFormat(plan: unknown, report: Report): boolean {
  const [major] = PLAN_FORMAT_VERSION.split(".");
  const version =
    typeof plan === "object" && plan !== null && "format_version" in plan ? plan.format_version : null;
  if (typeof version === "string" && /^\d+\.\d+$/.test(version) && version.split(".")[0] === major)
    return true;
  report("verify.format", "format_version", `not a plan of format ${major}.x, which is what this lema reads`);
  return false;
}
