/** `lema generate`: what a model writes behind a prompt, as it comes. */
import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { type ChatModel, type Completion, complete } from "../../chat/complete.ts";
import { openChat } from "../../chat/open-chat.ts";
import { encodePrompt } from "../../data/encode.ts";
import { jsonText, replaceFile } from "../../runtime/files.ts";
import { PeakMemory } from "../../runtime/memory.ts";
import { processBytes } from "../../runtime/preflight.ts";
import { DiagnosticError, diagnostic, type ExitCode } from "../../schemas/diagnostic.ts";
import { formatBytes } from "../../schemas/units.ts";
import { openPlanned, planGeneration } from "../../workflow/open-generation.ts";
import { type CommandContext, positive } from "../context.ts";
import { generationMachine } from "../generation-machine.ts";
import {
  addModelOptions,
  addSamplingOptions,
  MODEL_ARGUMENT,
  type ModelOptions,
  modelRequest,
  type SamplingOptions,
  samplingOf,
} from "../generation-options.ts";
import { spoken } from "../render/human.ts";
import { renderLayers } from "../render/plan-layers.ts";
import { renderSummary } from "../render/plan-summary.ts";
import { screenOf } from "../render/screen.ts";
import { StatusLine } from "../render/status-line.ts";
import { listenForStop } from "../signals.ts";

interface GenerateOptions extends ModelOptions, SamplingOptions {
  readonly prompt?: string;
  readonly maxTokens?: number;
  readonly plan?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const MEMORY_SAMPLE_MILLISECONDS = 50;

export function register(program: Command, context: CommandContext): void {
  const command = program
    .command("generate")
    .description("write on behind a prompt, in the memory you have; the text goes to stdout as it comes")
    .argument("<model>", MODEL_ARGUMENT)
    .option("--prompt <text>", "what to write on behind")
    .option("--max-tokens <count>", "stop after this many (default: what fits)", positive)
    .option("--plan <file>", "also write the plan that it runs on")
    .option("--dry-run", "only show the plan")
    .addOption(new Option("--json", "print text and figures as JSON").conflicts("dryRun"));
  addSamplingOptions(addModelOptions(command)).action(
    context.action((model: string, options: GenerateOptions) => generate(model, options, context)),
  );
}

async function generate(
  argument: string,
  options: GenerateOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { io } = context;
  const { prompt } = options;
  if (prompt === undefined && options.dryRun !== true) {
    throw new DiagnosticError(diagnostic("cli.usage", { summary: "`--prompt TEXT` is missing" }));
  }
  const status = new StatusLine(io.stderr);
  const request = modelRequest(argument, options, context);
  const machine = generationMachine(request.memory.vram, options, context);
  try {
    const planned = await planGeneration({ ...request, onProgress: (text) => status.show(text) }, machine);
    status.clear();
    io.stderr.write(context.render(planned.files.diagnostics, "stderr"));
    if (options.plan !== undefined) await replaceFile(resolve(io.cwd, options.plan), jsonText(planned.plan));
    if (options.dryRun || prompt === undefined) {
      const screen = screenOf(io.stdout, io.env);
      const summary = renderSummary(planned.plan, { screen, placeOf: null, statistics: null });
      io.stdout.write(`${summary}\n${renderLayers(planned.plan, screen)}`);
      return 0;
    }
    status.show("loading weights");
    const memory = new PeakMemory(MEMORY_SAMPLE_MILLISECONDS);
    const { session, files } = await openPlanned(planned, machine).finally(() => status.clear());
    try {
      const model = await openChat(session, files, { template: null, cwd: io.cwd });
      const written = await write(model, prompt, options, context);
      const planned = processBytes(session.plan.budgets, machine.engine.backend);
      const facts = { ...written, memory: { planned, measured: memory.stop() } };
      if (options.json) io.stdout.write(jsonText(facts));
      io.stderr.write(factsText(facts));
      return written.reason === "stopped" ? 1 : 0;
    } finally {
      memory.stop();
      await session.close();
    }
  } finally {
    status.clear();
  }
}

interface Written extends Completion {
  readonly seconds: {
    /** Until the first of the text. */
    readonly prompt: number;
    readonly reply: number;
  };
}

/** The completion, written to stdout as it comes unless it becomes JSON; Ctrl-C ends it. */
async function write(
  model: ChatModel,
  prompt: string,
  options: GenerateOptions,
  { io }: CommandContext,
): Promise<Written> {
  const signals = listenForStop(() => {});
  const completion = complete(model, encodePrompt(prompt, model.tokenizer), {
    maxTokens: options.maxTokens ?? null,
    sampling: samplingOf(options),
    stops: options.stop,
    signal: signals.stop,
  });
  const began = performance.now();
  let first: number | undefined;
  try {
    for (;;) {
      const { value, done } = await completion.next();
      first ??= performance.now();
      if (done) {
        if (!options.json) io.stdout.write("\n");
        const now = performance.now();
        return { ...value, seconds: { prompt: (first - began) / 1000, reply: (now - first) / 1000 } };
      }
      if (!options.json) io.stdout.write(io.stdout.isTTY ? spoken(value) : value);
    }
  } finally {
    signals.release();
  }
}

interface Facts extends Written {
  readonly memory: { readonly planned: number; readonly measured: number | null };
}

function factsText({ promptTokens, completionTokens, reason, seconds, memory }: Facts): string {
  const rate =
    completionTokens > 1 ? `, ${((completionTokens - 1) / seconds.reply).toFixed(1)} tokens/s` : "";
  const measured = memory.measured === null ? "not measured" : `measured ${formatBytes(memory.measured)}`;
  return [
    `prompt: ${promptTokens} tokens in ${seconds.prompt.toFixed(2)} s`,
    `text: ${completionTokens} tokens${rate}; ended by ${REASONS[reason]}`,
    `memory: planned ${formatBytes(memory.planned)}, ${measured}\n`,
  ].join("\n");
}

const REASONS: Readonly<Record<Completion["reason"], string>> = {
  "end token": "the model",
  "stop string": "a stop text",
  "max tokens": "--max-tokens",
  "context full": "the end of the context",
  stopped: "you",
};
