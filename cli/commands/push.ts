/** `lema push`: a model or adapter directory to the Hub. */
import { resolve } from "node:path";
import type { Command } from "commander";
import { push } from "../../hub/push.ts";
import { jsonText } from "../../runtime/files.ts";
import type { ExitCode } from "../../schemas/diagnostic.ts";
import type { CommandContext } from "../context.ts";
import { formatTransfer, hubClient, repoId } from "../hub-client.ts";
import { StatusLine } from "../render/status-line.ts";

interface PushOptions {
  readonly revision: string;
  readonly private?: boolean;
  readonly deleteAfterUpload?: boolean;
  readonly json?: boolean;
}

export function register(program: Command, context: CommandContext): void {
  program
    .command("push")
    .description(
      "upload a model or adapter directory to the Hub, file by file (HF_TOKEN: a token that may write)",
    )
    .argument("<directory>", "what `lema merge` wrote, or an adapter")
    .argument(
      "<repository>",
      "repository on the Hub, such as org/model; made where it does not exist",
      repoId,
    )
    .option("--revision <branch>", "branch to write to", "main")
    .option("--private", "make a new repository private")
    .option("--delete-after-upload", "remove each weight file here once the repository holds it")
    .option("--json", "print the result as JSON")
    .action(
      context.action((directory: string, repo: string, options: PushOptions) =>
        run(directory, repo, options, context),
      ),
    );
}

async function run(
  directory: string,
  repo: string,
  options: PushOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { io } = context;
  const status = new StatusLine(io.stderr);
  const pushed = await push(hubClient(context), {
    directory: resolve(io.cwd, directory),
    repo,
    revision: options.revision,
    visibility: options.private ? "private" : "public",
    deleteAfterUpload: options.deleteAfterUpload === true,
    onProgress: (progress) => status.show(formatTransfer(progress)),
  }).finally(() => status.clear());
  const { commit, uploaded, unchanged, deleted } = pushed;
  const removed = deleted.length === 0 ? "" : `, ${deleted.length} removed here`;
  const text =
    commit === null
      ? `${repo} holds all ${unchanged.length} files already${removed}\n`
      : `${repo} at ${commit}: ${uploaded.length} files uploaded, ${unchanged.length} unchanged${removed}\n`;
  io.stdout.write(options.json ? jsonText({ repo, ...pushed }) : text);
  return 0;
}
