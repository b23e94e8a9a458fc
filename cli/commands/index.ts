/** The registry: one file a command, in the order of `lema --help`. */
import type { CommandModule } from "../context.ts";
import * as dataset from "./dataset.ts";
import * as validate from "./validate.ts";

export const commands: readonly CommandModule[] = [validate, dataset];
