/**
 * The compiler: from `Inputs` to a sealed plan, the whole pipeline on one screen.
 *
 * Layout stands before sync (DESIGN §6 lists them the other way round): waits computed from arena bytes also cover
 * buffers that share bytes at different times. See docs/decisions/0001-layout-before-sync.md.
 */
import type { Diagnostic } from "../schemas/diagnostic.ts";
import type { Inputs } from "../schemas/inputs.ts";
import type { Plan } from "../schemas/plan.ts";
import { verify } from "../schemas/verify/index.ts";
import { buildVariants } from "./ir/variants.ts";
import { type PassOptions, type PassRecord, PassRunner } from "./pass.ts";
import { boundTraffic } from "./passes/bound-traffic.ts";
import { chooseShape } from "./passes/choose-shape.ts";
import { emit } from "./passes/emit.ts";
import { expandStep } from "./passes/expand-step.ts";
import { feasible } from "./passes/feasible.ts";
import { layout } from "./passes/layout.ts";
import { prefetch } from "./passes/prefetch.ts";
import { effectContext } from "./passes/realize.ts";
import { residency } from "./passes/residency.ts";
import { roll } from "./passes/roll.ts";
import { seal } from "./passes/seal.ts";
import { simulate } from "./passes/simulate.ts";
import { sync } from "./passes/sync.ts";

export interface Compiled {
  /** Absent when diagnostics hold an error. */
  readonly plan?: Plan;
  readonly diagnostics: readonly Diagnostic[];
  readonly passes: readonly PassRecord[];
}

export function compile(given: Inputs, options: PassOptions = {}): Compiled {
  const passes = new PassRunner(options);
  const variants = passes.run("units", () => buildVariants(given));
  const problems = passes.run("feasible", () => feasible(variants));
  if (problems.length > 0) return { diagnostics: problems, passes: passes.records };
  const { variant, shape, decisions } = passes.run("choose-shape", () => chooseShape(variants));
  const { inputs, units } = variant;
  const expanded = passes.run("expand-step", () => expandStep(variant, shape));
  const context = effectContext(inputs, expanded);
  const resident = passes.run("residency", () => residency(expanded, units));
  const prefetched = passes.run("prefetch", () => prefetch(resident, units));
  const rolled = passes.run("roll", () => roll(prefetched, units));
  const laidOut = passes.run("layout", () => layout(rolled));
  const synced = passes.run("sync", () => sync(laidOut, context));
  const programs = passes.run("emit", () => emit(inputs, synced, context));
  const bounds = passes.run("bound-traffic", () => boundTraffic(laidOut, units, programs));
  const predictions = passes.run("simulate", () => simulate(programs, laidOut.procedures, inputs.hardware));
  const plan = passes.run("seal", () =>
    seal({ inputs, units, laidOut, programs, predictions, bounds, decisions }),
  );
  const violations = passes.run("verify", () => verify(plan));
  return violations.length > 0
    ? { diagnostics: violations, passes: passes.records }
    : { plan, diagnostics: [], passes: passes.records };
}
