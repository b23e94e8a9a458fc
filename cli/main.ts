/**
 * The command line: parses arguments, runs one command, renders what goes wrong, in one place.
 *
 * Results go to stdout, progress and errors to stderr. Nothing here exits the process: `runCli` returns the exit code
 * (0 ok · 1 error · 2 differs · 3 does not fit · 4 stale plan · 5 verification failed).
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Command, CommanderError } from "commander";
import { asNoSpace } from "../models/output-directory.ts";
import {
  type Diagnostic,
  DiagnosticError,
  diagnostic,
  type ExitCode,
  exitCodeOf,
} from "../schemas/diagnostic.ts";
import { commands } from "./commands/index.ts";
import type { CommandContext, CommandModule, CommandRegistry } from "./context.ts";
import { type CliIo, columnsOf, usesColor } from "./io.ts";
import { packageVersion } from "./package.ts";
import { helpLayout, helpWidth } from "./render/help.ts";
import { renderDiagnostics } from "./render/index.ts";
import { textWidth } from "./render/screen.ts";

/** Runs `lema ARGV…` (without node and the script) against `io`; resolves to the exit code and never rejects. */
export async function runCli(
  argv: readonly string[],
  io: CliIo,
  registry: CommandRegistry = commands,
): Promise<number> {
  const version = packageVersion();
  const state: { exit: ExitCode } = { exit: 0 };
  const context: CommandContext = {
    io,
    version,
    action:
      (run) =>
      async (...args) => {
        state.exit = await run(...args);
      },
    render: (diagnostics, sink, format = "human") =>
      renderDiagnostics(diagnostics, format, {
        color: usesColor(io[sink], io.env),
        width: diagnosticWidth(columnsOf(io[sink])),
        readSource: (file) => readSource(resolve(io.cwd, file)),
        version,
      }),
  };
  const program = createProgram(context, await load(argv, registry));
  try {
    if (argv.length === 0) program.outputHelp();
    else await program.parseAsync([...argv], { from: "user" });
    return state.exit;
  } catch (error) {
    // Help and version end parsing by throwing, with exit code 0.
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    const diagnostics = explain(error, program.opts<{ debug?: boolean }>().debug === true);
    io.stderr.write(context.render(diagnostics, "stderr"));
    return exitCodeOf(diagnostics);
  }
}

/** The command that is asked for; all of them for help, and for suggestions where no name is right. */
function load(argv: readonly string[], registry: CommandRegistry): Promise<readonly CommandModule[]> {
  const name = argv.find((argument) => argument !== "--debug");
  if (name === "--version" || name === "-V") return Promise.resolve([]);
  const known = name !== undefined && Object.hasOwn(registry, name) ? [name] : Object.keys(registry);
  return Promise.all(known.map((one) => registry[one]!()));
}

function createProgram(context: CommandContext, modules: readonly CommandModule[]): Command {
  const { io, version } = context;
  const program = new Command("lema")
    .description("Compile a fine-tune into a static plan, then run it in the memory you have.")
    .version(version)
    .option("--debug", "show the stack of an unexpected error")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      getOutHasColors: () => usesColor(io.stdout, io.env),
      getErrHasColors: () => usesColor(io.stderr, io.env),
      getOutHelpWidth: () => helpWidth(io.stdout),
      // Usage errors are thrown as well, and rendered with all others.
      outputError: () => {},
    })
    .configureHelp(helpLayout(io.stdout));
  for (const { register } of modules) register(program, context);
  return program;
}

/** Anything thrown, as diagnostics: the user's, the environment's, or a bug in lema. */
function explain(error: unknown, debug: boolean): readonly Diagnostic[] {
  if (error instanceof DiagnosticError)
    return debug ? error.diagnostics.map((d) => withStack(d, error)) : error.diagnostics;
  if (error instanceof CommanderError) {
    const [summary = "", ...rest] = error.message.replace(/^error: /, "").split("\n");
    return [
      diagnostic("cli.usage", {
        summary,
        hint: rest.join(" ").replace(/^\(|\)$/g, "") || "see `lema --help`",
      }),
    ];
  }
  if (isSystemError(error)) {
    const full = error.path === undefined ? error : asNoSpace(error, error.path);
    if (full instanceof DiagnosticError) return full.diagnostics;
    return [
      diagnostic("cli.system", {
        summary: error.message,
        ...(error.path === undefined ? {} : { where: { file: error.path } }),
      }),
    ];
  }
  const thrown = error instanceof Error ? error : new Error(String(error));
  const bug = diagnostic("lema.bug", {
    summary: thrown.message,
    hint: debug ? "please report it with the lines above" : "please report it with what `--debug` adds",
  });
  return [debug ? withStack(bug, thrown) : bug];
}

function withStack(problem: Diagnostic, error: Error): Diagnostic {
  return { ...problem, detail: [problem.detail, error.stack].filter(Boolean).join("\n") };
}

/** What the operating system refused, such as EACCES or ENOSPC. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error && "code" in error;
}

/** Where there is no terminal, what looks for a message finds it on one line. */
function diagnosticWidth(columns: number): number {
  return Number.isFinite(columns) ? textWidth({ columns }) : columns;
}

function readSource(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // The frame is left out; the diagnostic itself says what is wrong.
  }
}
