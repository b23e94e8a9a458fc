/**
 * The registry: one file a command, in the order of `lema --help`. A command is loaded when it is asked for: most of
 * them need much that the others do not.
 */
import type { CommandRegistry } from "../context.ts";

export const commands: CommandRegistry = {
  validate: () => import("./validate.ts"),
  plan: () => import("./plan.ts"),
  show: () => import("./show.ts"),
  verify: () => import("./verify.ts"),
  diff: () => import("./diff.ts"),
  exec: () => import("./exec.ts"),
  replay: () => import("./replay.ts"),
  trace: () => import("./trace.ts"),
  explain: () => import("./explain.ts"),
  probe: () => import("./probe.ts"),
  doctor: () => import("./doctor.ts"),
  generate: () => import("./generate.ts"),
  chat: () => import("./chat.ts"),
  serve: () => import("./serve.ts"),
  eval: () => import("./eval.ts"),
  dataset: () => import("./dataset.ts"),
  merge: () => import("./merge.ts"),
  export: () => import("./export.ts"),
  prepare: () => import("./prepare.ts"),
  pull: () => import("./pull.ts"),
  push: () => import("./push.ts"),
  kaggle: () => import("./kaggle.ts"),
};
