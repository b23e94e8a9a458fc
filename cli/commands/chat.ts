/** `lema chat`: a conversation with a model, in a terminal or through a pipe. */
import type { Command } from "commander";
import type { ChatModel } from "../../chat/complete.ts";
import { Conversation } from "../../chat/conversation.ts";
import type { ExitCode } from "../../schemas/diagnostic.ts";
import { chatLoop } from "../chat/chat-loop.ts";
import { openLines } from "../chat/line-source.ts";
import { type CommandContext, positive } from "../context.ts";
import {
  addModelOptions,
  addSamplingOptions,
  MODEL_ARGUMENT,
  type ModelOptions,
  modelRequest,
  type SamplingOptions,
  samplingOf,
} from "../generation-options.ts";
import { openModel } from "../open-model.ts";
import { formatCount } from "../render/table.ts";

interface ChatOptions extends ModelOptions, SamplingOptions {
  readonly template?: string;
  readonly system?: string;
  readonly maxTokens?: number;
  readonly check?: boolean;
}

export function register(program: Command, context: CommandContext): void {
  const command = program
    .command("chat")
    .description("talk to a model; what is piped in is answered line by line")
    .argument("<model>", MODEL_ARGUMENT)
    .option("--system <text>", "the system prompt (default: the chat template's own)")
    .option(
      "--template <name>",
      "chat template (default: the run's, else the tokenizer's own, else lema-reply)",
    )
    .option("--max-tokens <count>", "of one reply (default: what fits)", positive)
    .option(
      "--check",
      "hold each reply to the LEMA reply format; from a pipe, exit with 2 where one is not in it",
    );
  addSamplingOptions(addModelOptions(command)).action(
    context.action((model: string, options: ChatOptions) => chat(model, options, context)),
  );
}

async function chat(argument: string, options: ChatOptions, context: CommandContext): Promise<ExitCode> {
  const model = await openModel(
    modelRequest(argument, options, context),
    options,
    options.template ?? null,
    context,
  );
  const lines = openLines(context.io);
  const completion = {
    maxTokens: options.maxTokens ?? null,
    sampling: samplingOf(options),
    stops: options.stop,
  };
  if (lines.interactive) context.io.stderr.write(greeting(argument, model));
  try {
    const conversation = new Conversation(model, options.system ?? null);
    const check = options.check === true;
    return await chatLoop(conversation, lines, { completion, check }, context);
  } finally {
    lines.close();
    await model.cache.close();
  }
}

function greeting(argument: string, { template, cache }: ChatModel): string {
  const how = template.name === "tokenizer" ? "its own chat template" : `the chat template ${template.name}`;
  return (
    `${argument}, in ${how}, with a context of ${formatCount(cache.capacity)} tokens\n` +
    "/help shows what you can do; Ctrl-C stops a reply.\n"
  );
}
