/**
 * The compiler: from `Inputs` to a sealed plan, the whole pipeline on one screen; a training and a generation go through
 * the same passes.
 *
 * Layout stands before sync (DESIGN §6 lists them the other way round): waits computed from arena bytes also cover
 * buffers that share bytes at different times. See docs/decisions/0001-layout-before-sync.md.
 */
import type { Diagnostic } from "../schemas/diagnostic.ts";
import type { GenerationInputs, Inputs } from "../schemas/inputs.ts";
import type { AnyPlan, GenerationPlan, Plan } from "../schemas/plan.ts";
import { verifyMeaning } from "../schemas/verify/index.ts";
import type { Variant } from "./ir/variants.ts";
import { type PassOptions, type PassRecord, PassRunner } from "./pass.ts";
import { boundTraffic } from "./passes/bound-traffic.ts";
import { chooseShape } from "./passes/choose-shape.ts";
import { emit } from "./passes/emit.ts";
import { feasible } from "./passes/feasible.ts";
import { layout } from "./passes/layout.ts";
import { prefetch } from "./passes/prefetch.ts";
import { effectContext } from "./passes/realize.ts";
import { residency } from "./passes/residency.ts";
import { roll } from "./passes/roll.ts";
import { seal } from "./passes/seal.ts";
import { sealGeneration } from "./passes/seal-generation.ts";
import type { Sealable } from "./passes/seal-shared.ts";
import { simulate } from "./passes/simulate.ts";
import { sync } from "./passes/sync.ts";
import { buildGenerationVariants } from "./shape/generation-variant.ts";
import { buildVariants } from "./shape/training-variant.ts";

export interface Compiled<Made extends AnyPlan = Plan> {
  /** Absent when diagnostics hold an error. */
  readonly plan?: Made;
  readonly diagnostics: readonly Diagnostic[];
  readonly passes: readonly PassRecord[];
}

/** A plan to train. */
export function compile(given: Inputs, options: PassOptions = {}): Compiled {
  return runPasses(() => buildVariants(given), seal, options);
}

/** A plan to generate. */
export function compileGeneration(
  given: GenerationInputs,
  options: PassOptions = {},
): Compiled<GenerationPlan> {
  return runPasses(() => buildGenerationVariants(given), sealGeneration, options);
}

function runPasses<Work extends Variant, Made extends AnyPlan>(
  variantsOf: () => readonly Work[],
  sealAs: (parts: Sealable<Work["inputs"]>) => Made,
  options: PassOptions,
): Compiled<Made> {
  const passes = new PassRunner(options);
  const variants = passes.run("units", variantsOf);
  const problems = passes.run("feasible", () => feasible(variants));
  if (problems.length > 0) return { diagnostics: problems, passes: passes.records };
  const { variant, shape, choice } = passes.run("choose-shape", () => chooseShape(variants));
  const { inputs, units } = variant;
  const expanded = passes.run("expand-step", () => variant.expand(shape));
  const context = effectContext(variant, expanded);
  const resident = passes.run("residency", () => residency(expanded, units));
  const prefetched = passes.run("prefetch", () => prefetch(resident, units));
  const rolled = passes.run("roll", () => roll(prefetched, units));
  const laidOut = passes.run("layout", () => layout(rolled));
  const synced = passes.run("sync", () => sync(laidOut, context));
  const programs = passes.run("emit", () => emit(inputs, synced, context));
  const bounds = passes.run("bound-traffic", () => boundTraffic(laidOut, units, programs));
  const predictions = passes.run("simulate", () => simulate(programs, laidOut.procedures, inputs));
  const plan = passes.run("seal", () =>
    sealAs({ inputs, units, laidOut, programs, predictions, bounds, choice }),
  );
  const violations = passes.run("verify", () => verifyMeaning(plan));
  return violations.length > 0
    ? { diagnostics: violations, passes: passes.records }
    : { plan, diagnostics: [], passes: passes.records };
}
