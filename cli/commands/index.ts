/** The registry: one file a command, in the order of `lema --help`. */
import type { CommandModule } from "../context.ts";
import * as dataset from "./dataset.ts";
import * as diff from "./diff.ts";
import * as exec from "./exec.ts";
import * as explain from "./explain.ts";
import * as exportModel from "./export.ts";
import * as merge from "./merge.ts";
import * as plan from "./plan.ts";
import * as prepare from "./prepare.ts";
import * as probe from "./probe.ts";
import * as pull from "./pull.ts";
import * as push from "./push.ts";
import * as replay from "./replay.ts";
import * as show from "./show.ts";
import * as trace from "./trace.ts";
import * as validate from "./validate.ts";
import * as verify from "./verify.ts";

export const commands: readonly CommandModule[] = [
  validate,
  plan,
  show,
  verify,
  diff,
  exec,
  replay,
  trace,
  explain,
  probe,
  dataset,
  merge,
  exportModel,
  prepare,
  pull,
  push,
];
