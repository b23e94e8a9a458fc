/** What `generate`, `chat`, `serve` and `eval` are told in the same words: which model, on what and in how much memory, and how to sample. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Sampling } from "../chat/sampling.ts";
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import { parseBytes } from "../schemas/units.ts";
import type { GenerationRequest } from "../workflow/open-generation.ts";
import { type BudgetText, splitBudgets } from "./budgets.ts";
import { type CommandContext, collect, positive, wholeNumber } from "./context.ts";
import type { MachineRequest } from "./generation-machine.ts";
import { cacheDirectory } from "./paths.ts";

export const MODEL_ARGUMENT = "model directory, run, checkpoint of a run, or PEFT adapter";

export interface MachineOptions extends MachineRequest {
  readonly context?: number;
  readonly memory?: readonly BudgetText[];
}

export interface ModelOptions extends MachineOptions {
  readonly base?: string;
  /** False by `--no-adapter`. */
  readonly adapter: boolean;
}

export const BASE_DIRECTORY = "the base model of an adapter (default: where run or adapter says it is)";

export function addModelOptions(command: Command): Command {
  const adapter = command
    .option("--base <directory>", BASE_DIRECTORY)
    .option("--no-adapter", "leave the adapter out: the base alone");
  return addMachineOptions(adapter);
}

export function addMachineOptions(command: Command): Command {
  return addBackendOptions(
    command
      .option(
        "--context <tokens>",
        "tokens that the context holds (default: 2048, or what the model allows)",
        positive,
      )
      .option("--memory <budgets>", "memory limits such as ram=2GiB (default: what is free)", splitBudgets),
  );
}

export function addBackendOptions(command: Command): Command {
  return command
    .addOption(new Option("--backend <backend>", "kernels to run on (default: cpu)").choices(["cpu", "cuda"]))
    .option(
      "--hardware <profile>",
      "plan by this shipped profile, or by a file (default: what `lema probe` measured, or the device's)",
    );
}

/** Throws `cli.usage` for a size that is none. */
export function modelRequest(
  model: string,
  { base, adapter, context: tokens, memory }: ModelOptions,
  { io }: CommandContext,
): GenerationRequest {
  return {
    model,
    adapter: adapter ? "applied" : "left out",
    base: base ?? null,
    context: tokens ?? null,
    memory: { ram: budget("ram", memory), vram: budget("vram", memory) },
    cwd: io.cwd,
    cacheDirectory: cacheDirectory(io.env),
  };
}

function budget(tier: BudgetText["tier"], budgets: readonly BudgetText[] = []): number | null {
  const text = budgets.findLast((one) => one.tier === tier)?.value;
  if (text === undefined) return null;
  const bytes = parseBytes(text);
  if (bytes !== undefined && bytes > 0) return bytes;
  const summary = `${tier}=${text} is not a size such as 6GiB`;
  throw new DiagnosticError(diagnostic("cli.usage", { summary }));
}

export interface SamplingOptions {
  readonly temperature: number;
  readonly topK?: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly seed: number;
  readonly stop: readonly string[];
}

export function addSamplingOptions(command: Command): Command {
  return command
    .option(
      "--temperature <number>",
      "0: the likeliest token each time; 1: as likely as the model says",
      within(0, 100),
      0,
    )
    .option("--top-k <count>", "draw from the likeliest tokens only", positive)
    .option(
      "--top-p <share>",
      "draw from the fewest tokens that are together as likely as this",
      within(0, 1),
      1,
    )
    .option(
      "--min-p <share>",
      "draw from tokens at least as likely as this beside the likeliest",
      within(0, 1),
      0,
    )
    .option("--repetition-penalty <factor>", "above 1: less of what was said", within(0.01, 100), 1)
    .option("--seed <number>", "decides the draws", wholeNumber, 0)
    .addOption(
      new Option("--stop <text>", "end before this text; may be given several times")
        .argParser(stopText)
        .default([], "none"),
    );
}

export function samplingOf({
  temperature,
  topK,
  topP,
  minP,
  repetitionPenalty,
  seed,
}: SamplingOptions): Sampling {
  return { temperature, topK: topK ?? null, topP, minP, repetitionPenalty, seed };
}

function stopText(text: string, previous: readonly string[]): readonly string[] {
  if (text === "") throw new InvalidArgumentError("An empty text stands before every other.");
  return collect(text, previous);
}

function within(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !(value >= least && value <= most))
      throw new InvalidArgumentError(`It is not a number from ${least} to ${most}.`);
    return value;
  };
}
