/** `lema prepare`: a model in one file in the order of use, each unit aligned; or back to shards. */
import { join, relative, resolve } from "node:path";
import { type Command, Option } from "commander";
import { openCheckpoint } from "../../models/checkpoint.ts";
import { checkLlamaTensors, readLlamaConfig } from "../../models/llama.ts";
import { checkVacant } from "../../models/output-directory.ts";
import { prepareModel } from "../../models/prepare.ts";
import { jsonText } from "../../runtime/files.ts";
import { DiagnosticError, type ExitCode, exitCodeOf } from "../../schemas/diagnostic.ts";
import { formatBytes } from "../../schemas/units.ts";
import type { CommandContext } from "../context.ts";
import { interruptible } from "../interruptible.ts";
import { cacheDirectory } from "../paths.ts";
import { formatShare } from "../render/table.ts";
import { byteSize, SHARD_BYTES } from "./merge.ts";

interface PrepareOptions {
  readonly out: string;
  readonly layout: "aligned" | "shards";
  readonly maxShardSize: number;
  readonly json?: boolean;
}

export function register(program: Command, context: CommandContext): void {
  program
    .command("prepare")
    .description(
      "copy a model into one file whose units stand in their order of use, each aligned to 4 KiB; or back to shards",
    )
    .argument("<model>", "model directory")
    .requiredOption("-o, --out <directory>", "where to write the model")
    .addOption(
      new Option("--layout <layout>", "how to lay it out").choices(["aligned", "shards"]).default("aligned"),
    )
    .option("--max-shard-size <size>", "size of shards", byteSize, SHARD_BYTES)
    .option("--json", "print the result as JSON")
    .action(context.action((model: string, options: PrepareOptions) => prepare(model, options, context)));
}

async function prepare(model: string, options: PrepareOptions, context: CommandContext): Promise<ExitCode> {
  const { io } = context;
  const output = resolve(io.cwd, options.out);
  await checkVacant(output);
  const checkpoint = await openCheckpoint(resolve(io.cwd, model));
  const read = readLlamaConfig(checkpoint.config, join(checkpoint.directory, "config.json"));
  const { config } = read;
  const problems = [
    ...read.diagnostics,
    ...(config === undefined ? [] : checkLlamaTensors(checkpoint, config)),
  ];
  if (config === undefined || exitCodeOf(problems) !== 0) throw new DiagnosticError(problems);
  io.stderr.write(context.render([...checkpoint.diagnostics, ...problems], "stderr"));
  const prepared = await interruptible(context, (show) =>
    prepareModel({
      checkpoint,
      config,
      layout:
        options.layout === "aligned"
          ? { type: "aligned" }
          : { type: "shards", maxShardBytes: options.maxShardSize },
      output,
      cacheDirectory: cacheDirectory(io.env),
      onProgress: (stage, share) => show(`${stage} ${Math.floor(100 * share)} %`),
    }),
  );
  const { files, bytes, padding } = prepared;
  const where = files.length === 1 ? `${files[0]}` : `${files.length} files`;
  const share = padding === 0 ? "" : `, ${formatShare(padding / bytes)} of padding`;
  io.stdout.write(
    options.json
      ? jsonText({ output, ...prepared })
      : `Wrote ${relative(io.cwd, output)}: ${formatBytes(bytes)} in ${where}${share}; every tensor's digest is the source's\n`,
  );
  return 0;
}
