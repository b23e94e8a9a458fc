/** `lema validate`: all problems of recipes, without opening a model or a dataset. */
import { type Command, Option } from "commander";
import { type ExitCode, exitCodeOf } from "../../schemas/diagnostic.ts";
import { type CommandContext, collect } from "../context.ts";
import { tryLoadRecipe } from "../load-recipe.ts";
import { countDiagnostics } from "../render/human.ts";
import { DIAGNOSTIC_FORMATS, type DiagnosticFormat } from "../render/index.ts";

interface ValidateOptions {
  readonly format: DiagnosticFormat;
  readonly set?: readonly string[];
}

export function register(program: Command, context: CommandContext): void {
  program
    .command("validate")
    .description("check recipes, and print every problem at once")
    .argument("<recipes...>", "recipe files")
    .addOption(new Option("--format <format>", "how to print").choices(DIAGNOSTIC_FORMATS).default("human"))
    .option("--set <key=value>", "change a key of each recipe first (repeatable)", collect)
    .action(context.action((files: string[], options: ValidateOptions) => validate(files, options, context)));
}

function validate(
  files: readonly string[],
  { format, set = [] }: ValidateOptions,
  context: CommandContext,
): ExitCode {
  const { io } = context;
  const results = files.map((file) => ({ file, ...tryLoadRecipe(file, set, io) }));
  // A recipe is no less valid on a machine that has not been measured.
  const diagnostics = results
    .flatMap((result) => result.diagnostics)
    .filter(({ code }) => code !== "hardware.not-probed");
  io.stdout.write(context.render(diagnostics, "stdout", format));
  if (format === "human") {
    const sound = results.filter((result) => exitCodeOf(result.diagnostics) === 0);
    for (const { file } of sound) io.stdout.write(`${file}: ok\n`);
    const counts = countDiagnostics(diagnostics);
    if (counts !== "")
      io.stdout.write(`\n${counts} in ${files.length} recipe${files.length === 1 ? "" : "s"}\n`);
  }
  return exitCodeOf(diagnostics);
}
