/** The registry: one file a command, in the order of `lema --help`. */
import type { Command } from "commander";
import type { CommandContext } from "../context.ts";
import * as validate from "./validate.ts";

interface CommandModule {
  readonly register: (program: Command, context: CommandContext) => void;
}

export const commands: readonly CommandModule[] = [validate];
