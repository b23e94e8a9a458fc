/** The training of a plan under other memory budgets: another plan, which must give the same bits. */
import { compile } from "../../planner/compile.ts";
import { checkSameTraining } from "../../runtime/resume.ts";
import { checkHardware } from "../../schemas/check-hardware.ts";
import { DiagnosticError, exitCodeOf } from "../../schemas/diagnostic.ts";
import type { HardwareProfile } from "../../schemas/hardware.ts";
import type { Plan } from "../../schemas/plan.ts";
import { type Recipe, resolvedRecipeSchema } from "../../schemas/recipe.ts";
import { readInputs } from "../../workflow/read-inputs.ts";
import { type BudgetText, withBudgets } from "../budgets.ts";

export interface ReplanOptions {
  readonly budgets: readonly BudgetText[];
  /** The run, for messages. */
  readonly run: string;
  /** Relative paths of the recipe start here. */
  readonly cwd: string;
  readonly cacheDirectory: string;
}

/**
 * Plans again from the plan's own recipe and hardware profile. Throws `plan.does-not-fit`, `hardware.*`, and
 * `checkpoint.mismatch` when the inputs no longer are those of the run.
 */
export async function replan(plan: Plan, options: ReplanOptions): Promise<Plan> {
  const { run, cwd, cacheDirectory } = options;
  const recorded = resolvedRecipeSchema.parse(plan.inputs.recipe);
  const recipe: Recipe = { ...recorded, memory: withBudgets(recorded.memory, options.budgets) };
  // Planning put the whole profile there.
  const hardware = plan.meta.hardware as unknown as HardwareProfile;
  const problems = checkHardware(recipe, hardware, (path) => ({ file: "--memory", path }));
  if (exitCodeOf(problems) !== 0) throw new DiagnosticError(problems);
  const { inputs } = await readInputs({
    recipe,
    hardware,
    lemaVersion: plan.lema_version,
    cwd,
    cacheDirectory,
    dryRun: false,
  });
  const { plan: replanned, diagnostics } = compile(inputs);
  if (replanned === undefined) throw new DiagnosticError(diagnostics);
  const mismatches = checkSameTraining(plan, replanned, run);
  if (mismatches.length > 0) throw new DiagnosticError(mismatches);
  return replanned;
}
