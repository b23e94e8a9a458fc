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
 *     const { session, files } = await openGeneration({ model: "runs/a", … }, { compile: compileGeneration, … });
 *     const model = await openChat(session, files, { template: null, cwd: "." });
 *     for await (const piece of new Conversation(model, null).say("Hello", …)) process.stdout.write(piece);
 *     createApp({ model, name: "mine", … }).request("/v1/models");   // a Hono app: OpenAI's API
 *
 * Functions that read files throw a `DiagnosticError`; all others return diagnostics. Importing this module opens
 * nothing: the native module is loaded by the first `execute`.
 */
export { type AskOptions, evaluateModel } from "./chat/ask-questions.ts";
export {
  type ChatModel,
  type Completion,
  type CompletionOptions,
  complete,
  completeReply,
  encodeConversation,
  GREEDY,
} from "./chat/complete.ts";
export { Conversation, type ConversationTurn } from "./chat/conversation.ts";
export {
  type BaseReport,
  type EvaluateRunOptions,
  evaluateRun,
  type RunReport,
} from "./chat/evaluate-run.ts";
export { type GenerationSource, generate, type LogitsSource } from "./chat/generate.ts";
export { type ChatFilesOptions, openChat } from "./chat/open-chat.ts";
export {
  type ReplyProblem,
  type ReplyResult,
  ReplyValidator,
  validateReply,
} from "./chat/reply-validator.ts";
export type { Sampling } from "./chat/sampling.ts";
export { type EvaluationReport, evaluateReplies, type ScoredReply } from "./chat/score-replies.ts";
export { type AppOptions, createApp, type Served } from "./chat/server/app.ts";
export { type Listening, listen } from "./chat/server/listen.ts";
export { type ChatPage, chatPage } from "./chat/server/page/page.ts";
export { heldOutQuestions, type KnownQuestion, readQuestions } from "./data/reply/questions.ts";
export { type Compiled, compile, compileGeneration } from "./planner/compile.ts";
export type { PassOptions, PassRecord } from "./planner/pass.ts";
export type { Simulation } from "./planner/simulate/simulate.ts";
export { simulatePlan as simulate } from "./planner/simulate/simulate-plan.ts";
export { type SmallestMemory, smallestGenerationMemory, smallestMemory } from "./planner/smallest-memory.ts";
export {
  type EngineChoice,
  type ExecuteHooks,
  type ExecuteOptions,
  execute,
  type RunResult,
  type StepReport,
} from "./runtime/execute.ts";
export { GenerationSession } from "./runtime/generation-session.ts";
export { openAnyPlan, openPlan } from "./runtime/open-plan.ts";
export {
  type Diagnostic,
  type DiagnosticCode,
  DiagnosticError,
  diagnosticCodes,
  type ExitCode,
  exitCodeOf,
} from "./schemas/diagnostic.ts";
export { type HardwareProfile, parseHardware } from "./schemas/hardware.ts";
export type { GenerationInputs, Inputs } from "./schemas/inputs.ts";
export {
  type AnyPlan,
  type GenerationPlan,
  generationPlanSchema,
  type Instruction,
  type Plan,
  planSchema,
} from "./schemas/plan.ts";
export { type ParsedRecipe, parseRecipe, type Recipe } from "./schemas/recipe.ts";
export { type RunRecord, runSchema } from "./schemas/run.ts";
export { verify } from "./schemas/verify/index.ts";
export {
  type GenerationFiles,
  type GenerationMachine,
  type GenerationRequest,
  type OpenGeneration,
  openGeneration,
  openPlanned,
  type PlannedGeneration,
  planGeneration,
} from "./workflow/open-generation.ts";
export { type InputOptions, type OpenedInputs, openInputs } from "./workflow/open-inputs.ts";
export { type GatheredInputs, type ReadOptions, readInputs } from "./workflow/read-inputs.ts";
