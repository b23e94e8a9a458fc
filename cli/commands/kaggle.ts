/** `lema kaggle`: a recipe as a notebook on Kaggle, and its session there through Kaggle's official command. */
import { readFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import type { Command } from "commander";
import { METADATA_FILE } from "../../kaggle/metadata.ts";
import { OfficialCli } from "../../kaggle/official-cli.ts";
import {
  follow,
  followLogs,
  hasFailed,
  logs,
  output,
  push,
  type SessionStatus,
  sessionFailed,
  status,
} from "../../kaggle/session.ts";
import { jsonText } from "../../runtime/files.ts";
import { DiagnosticError, diagnostic, type ExitCode } from "../../schemas/diagnostic.ts";
import { type CommandContext, positive } from "../context.ts";
import { registerBuild } from "./kaggle-build.ts";

const NOTEBOOK = "directory that `kaggle build` wrote, or its address on Kaggle (USER/NAME)";

export function register(program: Command, context: CommandContext): void {
  const kaggle = program
    .command("kaggle")
    .description("train on Kaggle: build notebooks of a recipe, push them, watch them, fetch what they made");
  registerBuild(kaggle, context);
  kaggle
    .command("push")
    .description("upload a notebook and start it")
    .argument("<directory>", "directory that `kaggle build` wrote, with kernel-metadata.json")
    .option("--json", "print the result as JSON")
    .action(
      context.action((directory: string, options: JsonOption) => pushNotebook(directory, options, context)),
    );
  kaggle
    .command("status")
    .description("say what a notebook's session is doing; exit 1 when it failed")
    .argument("<notebook>", NOTEBOOK)
    .option("--follow", "ask again until it has ended")
    .option("--interval <seconds>", "how long to wait in between", positive, 15)
    .option("--json", "print the state as JSON")
    .action(
      context.action((notebook: string, options: StatusOptions) => showStatus(notebook, options, context)),
    );
  kaggle
    .command("logs")
    .description("print what a notebook's session printed")
    .argument("<notebook>", NOTEBOOK)
    .option("--follow", "print on while it runs")
    .action(context.action((notebook: string, options: LogOptions) => showLogs(notebook, options, context)));
  kaggle
    .command("output")
    .description("fetch what a notebook's session kept: run, adapter, merged model")
    .argument("<notebook>", NOTEBOOK)
    .option("-o, --out <directory>", "where to write it (default: NAME of the notebook)")
    .option("--force", "fetch also what is here already")
    .action(
      context.action((notebook: string, options: OutputOptions) => fetchOutput(notebook, options, context)),
    );
}

interface JsonOption {
  readonly json?: boolean;
}
interface StatusOptions extends JsonOption {
  readonly follow?: boolean;
  readonly interval: number;
}
interface LogOptions {
  readonly follow?: boolean;
}
interface OutputOptions {
  readonly out?: string;
  readonly force?: boolean;
}

async function pushNotebook(
  directory: string,
  { json }: JsonOption,
  { io }: CommandContext,
): Promise<ExitCode> {
  const address = await addressIn(resolve(io.cwd, directory), directory);
  const cli = await OfficialCli.open(io.env);
  const pushed = await push(cli, resolve(io.cwd, directory));
  if (json) {
    io.stdout.write(jsonText({ notebook: address, ...pushed }));
    return 0;
  }
  for (const warning of pushed.warnings) io.stderr.write(`kaggle: ${warning}\n`);
  const version = pushed.version === null ? "" : `, version ${pushed.version}`;
  io.stdout.write(`${address}${version} is on its way: ${pushed.url}\n`);
  io.stderr.write(`watch it with: lema kaggle status ${address} --follow\n`);
  return 0;
}

async function showStatus(
  notebook: string,
  options: StatusOptions,
  { io }: CommandContext,
): Promise<ExitCode> {
  const address = await addressFor(notebook, io.cwd);
  const cli = await OfficialCli.open(io.env);
  const show = (found: SessionStatus): void => {
    io.stdout.write(options.json ? jsonText({ notebook: address, ...found }) : `${found.state}\n`);
  };
  if (options.follow) {
    const wait = () => new Promise<void>((done) => setTimeout(done, options.interval * 1000));
    await follow(cli, address, wait, show);
    return 0;
  }
  const found = await status(cli, address);
  show(found);
  if (hasFailed(found)) throw sessionFailed(address, found);
  return 0;
}

async function showLogs(notebook: string, options: LogOptions, { io }: CommandContext): Promise<ExitCode> {
  const address = await addressFor(notebook, io.cwd);
  const cli = await OfficialCli.open(io.env);
  if (options.follow) await followLogs(cli, address, (text) => io.stdout.write(text));
  else io.stdout.write(await logs(cli, address));
  return 0;
}

async function fetchOutput(
  notebook: string,
  options: OutputOptions,
  { io }: CommandContext,
): Promise<ExitCode> {
  const address = await addressFor(notebook, io.cwd);
  const directory = resolve(io.cwd, options.out ?? address.split("/")[1]!);
  const cli = await OfficialCli.open(io.env);
  const existing = options.force ? "replace" : "keep";
  await output(cli, address, directory, existing, (text) => io.stderr.write(text));
  io.stdout.write(`Fetched the output of ${address} into ${relative(io.cwd, directory) || "."}\n`);
  return 0;
}

async function addressFor(notebook: string, cwd: string): Promise<string> {
  const directory = resolve(cwd, notebook);
  const metadata = await readFile(join(directory, METADATA_FILE), "utf8").catch(() => null);
  if (metadata === null && /^[\w-]+\/[\w-]+$/.test(notebook)) return notebook;
  return addressIn(directory, notebook);
}

/** The address in the metadata of a directory. */
async function addressIn(directory: string, shown: string): Promise<string> {
  const text = await readFile(join(directory, METADATA_FILE), "utf8").catch(() => {
    throw new DiagnosticError(
      diagnostic("cli.unreadable-file", {
        summary: `${shown} has no ${METADATA_FILE}`,
        where: { file: shown },
        hint: "`lema kaggle build RECIPE` writes one beside the notebook",
      }),
    );
  });
  return (JSON.parse(text) as { id: string }).id;
}
