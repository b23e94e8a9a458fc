/**
 * lema as a library: the steps of the command line as functions, typed, with problems as values.
 *
 *     const { recipe, diagnostics } = parseRecipe(text, { file: "recipe.yaml" });
 *     const { profile } = parseHardware(profileText, { file: "machine.yaml" });
 *     const { inputs } = await readInputs({ recipe, hardware: profile, … });
 *     const { plan, diagnostics } = compile(inputs);
 *     verify(plan);                       // [] when it is proved
 *     simulate(plan).duration;            // predicted nanoseconds of a step
 *     await execute(plan, { ...(await openInputs(plan, …)), output: "runs/a", … });
 *
 * Functions that read files throw a `DiagnosticError`; all others return diagnostics. Importing this module opens
 * nothing: the native module is loaded by the first `execute`.
 */
export { type Compiled, compile } from "./planner/compile.ts";
export type { PassOptions, PassRecord } from "./planner/pass.ts";
export type { Simulation } from "./planner/simulate/simulate.ts";
export { simulatePlan as simulate } from "./planner/simulate/simulate-plan.ts";
export { type SmallestMemory, smallestMemory } from "./planner/smallest-memory.ts";
export {
  type EngineChoice,
  type ExecuteHooks,
  type ExecuteOptions,
  execute,
  type RunResult,
  type StepReport,
} from "./runtime/execute.ts";
export { openPlan } from "./runtime/open-plan.ts";
export {
  type Diagnostic,
  type DiagnosticCode,
  DiagnosticError,
  diagnosticCodes,
  type ExitCode,
  exitCodeOf,
} from "./schemas/diagnostic.ts";
export { type HardwareProfile, parseHardware } from "./schemas/hardware.ts";
export type { Inputs } from "./schemas/inputs.ts";
export { type Instruction, type Plan, planSchema } from "./schemas/plan.ts";
export { type ParsedRecipe, parseRecipe, type Recipe } from "./schemas/recipe.ts";
export { type RunRecord, runSchema } from "./schemas/run.ts";
export { verify } from "./schemas/verify/index.ts";
export { type InputOptions, type OpenedInputs, openInputs } from "./workflow/open-inputs.ts";
export { type GatheredInputs, type ReadOptions, readInputs } from "./workflow/read-inputs.ts";
