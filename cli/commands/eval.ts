/** `lema eval`: what a model answers to questions that it was not trained on. */
import { relative, resolve } from "node:path";
import type { Command } from "commander";
import { evaluateRun } from "../../chat/evaluate-run.ts";
import { heldOutQuestions, type KnownQuestion, readQuestions } from "../../data/reply/questions.ts";
import { jsonText } from "../../runtime/files.ts";
import { DiagnosticError, diagnostic, type ExitCode } from "../../schemas/diagnostic.ts";
import { type CommandContext, positive, wholeNumber } from "../context.ts";
import {
  addMachineOptions,
  BASE_DIRECTORY,
  type MachineOptions,
  MODEL_ARGUMENT,
  modelRequest,
} from "../generation-options.ts";
import { openModel } from "../open-model.ts";
import { renderEvaluation } from "../render/evaluation.ts";
import { StatusLine } from "../render/status-line.ts";
import { listenForStop } from "../signals.ts";

interface EvalOptions extends MachineOptions {
  readonly base?: boolean;
  readonly baseModel?: string;
  readonly questions?: string;
  readonly limit: number;
  readonly template?: string;
  readonly maxTokens: number;
  readonly samples: number;
  readonly json?: boolean;
}

/** The dataset's own; which questions are held out is the same for every seed. */
const SEED = 42;
/** Longer than any reply of the dataset. */
const MAX_TOKENS = 160;

export function register(program: Command, context: CommandContext): void {
  const command = program
    .command("eval")
    .description(
      "ask a model held-out questions of the LEMA reply dataset, first and second in a conversation: how many replies are in the format, how many answers right",
    )
    .argument("<model>", MODEL_ARGUMENT)
    .option("--base", "ask the base too: the same way, and in plain prose")
    .option("--base-model <directory>", BASE_DIRECTORY)
    .option("--questions <file>", "another held-out file (.jsonl), as `lema dataset build` writes it")
    .option("--limit <count>", "how many questions, at most", positive, 100)
    .option(
      "--template <name>",
      "chat template (default: the run's, else the tokenizer's own, else lema-reply)",
    )
    .option("--max-tokens <count>", "of one reply", positive, MAX_TOKENS)
    .option("--samples <count>", "how many replies to show, and of those that failed", wholeNumber, 2)
    .option("--json", "print the report as JSON, with all replies");
  addMachineOptions(command).action(
    context.action((model: string, options: EvalOptions) => evaluate(model, options, context)),
  );
}

async function evaluate(argument: string, options: EvalOptions, context: CommandContext): Promise<ExitCode> {
  const { io } = context;
  const questions = await questionsOf(options, io.cwd);
  const status = new StatusLine(io.stderr);
  const signals = listenForStop(() => status.show("stopping after this token"));
  const { context: tokens, memory, baseModel } = options;
  const report = await evaluateRun(questions, {
    open: (which, template) => {
      const adapter = which === "model";
      const asked = { ...(tokens && { context: tokens }), ...(memory && { memory }), adapter };
      const request = modelRequest(argument, { ...asked, ...(baseModel && { base: baseModel }) }, context);
      return openModel(request, options, template ?? options.template ?? null, context);
    },
    model: relative(io.cwd, resolve(io.cwd, argument)) || ".",
    base: options.base === true ? "asked" : "not asked",
    maxTokens: options.maxTokens,
    signal: signals.stop,
    onReply: (speaker, answered) => status.show(`${speaker}: ${answered} of ${questions.length} questions`),
  }).finally(() => {
    status.clear();
    signals.release();
  });
  io.stdout.write(
    options.json ? jsonText(report) : `${renderEvaluation(report, options.samples).join("\n")}\n`,
  );
  if (!signals.stop.aborted) return 0;
  io.stderr.write("stopped: the report covers the questions that were answered\n");
  return 1;
}

async function questionsOf({ questions: file, limit }: EvalOptions, cwd: string): Promise<KnownQuestion[]> {
  if (file === undefined) return heldOutQuestions(SEED, limit);
  const questions = await readQuestions(resolve(cwd, file), limit);
  if (questions.length > 0) return questions;
  const summary = "the file has no questions";
  throw new DiagnosticError(diagnostic("data.empty", { summary, where: { file } }));
}
