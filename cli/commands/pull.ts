/** `lema pull`: a model or adapter from the Hub into a directory. */
import { relative, resolve } from "node:path";
import type { Command } from "commander";
import { pull } from "../../hub/pull.ts";
import { jsonText } from "../../runtime/files.ts";
import type { ExitCode } from "../../schemas/diagnostic.ts";
import { formatBytes } from "../../schemas/units.ts";
import type { CommandContext } from "../context.ts";
import { formatTransfer, hubClient, repoId } from "../hub-client.ts";
import { StatusLine } from "../render/status-line.ts";

interface PullOptions {
  readonly revision: string;
  readonly out?: string;
  readonly json?: boolean;
}

export function register(program: Command, context: CommandContext): void {
  program
    .command("pull")
    .description(
      "fetch the files that lema reads of a model or adapter on the Hub; goes on where it was cut off " +
        "(HF_TOKEN: for private models; HF_ENDPOINT: another Hub)",
    )
    .argument("<model>", "repository on the Hub, such as org/model", repoId)
    .option("--revision <revision>", "branch, tag or commit", "main")
    .option("-o, --out <directory>", "where to write it (default: models/NAME)")
    .option("--json", "print the result as JSON")
    .action(context.action((model: string, options: PullOptions) => run(model, options, context)));
}

async function run(repo: string, options: PullOptions, context: CommandContext): Promise<ExitCode> {
  const { io } = context;
  const directory = resolve(io.cwd, options.out ?? `models/${repo.split("/")[1]}`);
  const status = new StatusLine(io.stderr);
  const pulled = await pull(hubClient(context), {
    repo,
    revision: options.revision,
    directory,
    onProgress: (progress) => status.show(formatTransfer(progress)),
  }).finally(() => status.clear());
  const name = relative(io.cwd, directory) || ".";
  const { commit, files, bytes, present } = pulled;
  const what = present === bytes ? "was here already" : `${formatBytes(bytes)} in ${files.length} files`;
  io.stdout.write(
    options.json
      ? jsonText({ directory: name, repo, ...pulled })
      : `${name}: ${repo} at ${commit}, ${what}\n`,
  );
  return 0;
}
