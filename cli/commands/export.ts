/** `lema export`: a model directory as a file for other engines. */
import { relative, resolve } from "node:path";
import { type Command, Option } from "commander";
import { GGUF_TYPES, type GgufType } from "../../models/gguf-writer.ts";
import { jsonText } from "../../runtime/files.ts";
import type { ExitCode } from "../../schemas/diagnostic.ts";
import { formatBytes } from "../../schemas/units.ts";
import { exportGguf } from "../../workflow/export-model.ts";
import type { CommandContext } from "../context.ts";
import { interruptible } from "../interruptible.ts";

interface ExportOptions {
  readonly gguf: string;
  readonly type: GgufType;
  readonly json?: boolean;
}

export function register(program: Command, context: CommandContext): void {
  program
    .command("export")
    .description("write a model, such as `lema merge` makes, as one GGUF file for llama.cpp")
    .argument("<model>", "model directory")
    .requiredOption("--gguf <file>", "where to write it")
    .addOption(
      new Option("--type <type>", "how to store the matrices")
        .choices(Object.keys(GGUF_TYPES))
        .default("f16"),
    )
    .option("--json", "print the result as JSON")
    .action(context.action((model: string, options: ExportOptions) => run(model, options, context)));
}

async function run(
  model: string,
  { gguf, type, json }: ExportOptions,
  context: CommandContext,
): Promise<ExitCode> {
  const { io } = context;
  const output = resolve(io.cwd, gguf);
  const exported = await interruptible(context, (show) =>
    exportGguf({ model: resolve(io.cwd, model), output, type, onProgress: show }),
  );
  const { diagnostics, ...facts } = exported;
  io.stderr.write(context.render(diagnostics, "stderr"));
  const { tensors, bytes } = facts;
  io.stdout.write(
    json
      ? jsonText({ output, type, ...facts })
      : `Wrote ${relative(io.cwd, output)}: ${formatBytes(bytes)}, ${tensors} tensors, matrices as ${type}\n`,
  );
  return 0;
}
