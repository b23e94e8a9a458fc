/** What `main.ts` hands to every command. */
import { type Command, InvalidArgumentError } from "commander";
import type { Diagnostic, ExitCode } from "../schemas/diagnostic.ts";
import type { CliIo } from "./io.ts";
import type { DiagnosticFormat } from "./render/index.ts";

export interface CommandContext {
  readonly io: CliIo;
  /** lema's own version. */
  readonly version: string;
  /** Fits a command to commander: what it resolves to becomes the exit code; what it throws is rendered by `main.ts`. */
  action<Args extends unknown[]>(
    run: (...args: Args) => ExitCode | Promise<ExitCode>,
  ): (...args: Args) => Promise<void>;
  /** Diagnostics as text, with colours for `sink` and code frames from disk. */
  render(diagnostics: readonly Diagnostic[], sink: "stdout" | "stderr", format?: DiagnosticFormat): string;
}

/** One file of `commands/`. */
export interface CommandModule {
  readonly register: (program: Command, context: CommandContext) => void;
}

/** How to load each command, by its name. */
export type CommandRegistry = Readonly<Record<string, () => Promise<CommandModule>>>;

/** Collects a repeatable option: `--set a=1 --set b=2`. */
export function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}

/** The value of an option that counts something. */
export function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("It is not a whole number.");
  return Number(text);
}

/** An option that counts something. */
export function positive(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("It is not a positive whole number.");
  return Number(text);
}

/** The longest that timers count, in seconds: almost 25 days. */
const LONGEST = Math.floor((2 ** 31 - 1) / 1000);

/** The value of an option that is a number of seconds. */
export function duration(text: string): number {
  const seconds = wholeNumber(text);
  if (seconds > LONGEST) throw new InvalidArgumentError(`At most ${LONGEST} seconds.`);
  return seconds;
}
