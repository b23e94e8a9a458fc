/** `lema kaggle build`: a recipe as two notebooks: one that trains it on Kaggle, one that talks to the result. */
import { readFile } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import {
  acceleratorFor,
  addressOf,
  checkUser,
  kernelMetadata,
  METADATA_FILE,
  type NotebookIdentity,
  type NotebookMachine,
  slugOf,
} from "../../kaggle/metadata.ts";
import { type Notebook, notebookText } from "../../kaggle/notebook.ts";
import { packageFiles } from "../../kaggle/package-files.ts";
import { recipeFiles } from "../../kaggle/recipe-files.ts";
import { replyNotebook } from "../../kaggle/reply-notebook.ts";
import { lemaCell, trainingNotebook } from "../../kaggle/training-notebook.ts";
import { makeDirectory } from "../../models/make-directory.ts";
import { jsonText, replaceFile } from "../../runtime/files.ts";
import { DiagnosticError, diagnostic, type ExitCode } from "../../schemas/diagnostic.ts";
import { formatBytes } from "../../schemas/units.ts";
import { type CommandContext, collect, positive } from "../context.ts";
import { loadRecipe } from "../load-recipe.ts";
import { packageRoot } from "../package.ts";

interface BuildOptions {
  readonly out?: string;
  readonly user?: string;
  readonly name?: string;
  readonly accelerator?: string;
  readonly attach?: readonly string[];
  readonly attachModel?: readonly string[];
  readonly continue?: NotebookIdentity;
  readonly hours: number;
  readonly public?: boolean;
  readonly json?: boolean;
}

/** What Kaggle's server takes: "The kernel source must be less than 1 megabytes in size." */
const LARGEST_NOTEBOOK = 1e6;
/** Kaggle ends a session after twelve; what follows the training has the rest. */
const TRAINING_HOURS = 11;

export function registerBuild(kaggle: Command, context: CommandContext): void {
  kaggle
    .command("build")
    .description("write a notebook that trains a recipe on Kaggle, and one that talks to the result")
    .argument("<recipe>", "recipe file")
    .option("-o, --out <directory>", "where to write them (default: kaggle/NAME)")
    .option("--user <name>", "account on Kaggle (default: KAGGLE_USERNAME)")
    .option("--name <name>", "what the notebooks are called (default: the recipe's name)")
    .option(
      "--accelerator <name>",
      "GPU as Kaggle calls it, such as NvidiaTeslaT4 or NvidiaTeslaP100, or none (default: as the recipe's memory asks)",
      acceleratorName,
    )
    .option(
      "--attach <dataset>",
      "a dataset on Kaggle, USER/NAME, found below /kaggle/input; repeatable",
      attach,
    )
    .option(
      "--attach-model <model>",
      "a model on Kaggle, USER/MODEL/FRAMEWORK/VARIATION/VERSION, found below /kaggle/input; repeatable",
      attachModel,
    )
    .option(
      "--continue <notebook>",
      "go on with the run that this training notebook, USER/NAME, did not finish in its session",
      notebookAddress,
    )
    .option(
      "--hours <count>",
      "stop the training, with a checkpoint, so long after the notebook began",
      positive,
      TRAINING_HOURS,
    )
    .option("--public", "let everybody see the notebooks")
    .option("--json", "print the result as JSON")
    .action(context.action((recipe: string, options: BuildOptions) => build(recipe, options, context)));
}

interface Written {
  readonly directory: string;
  readonly notebook: string;
  readonly bytes: number;
}

async function build(file: string, options: BuildOptions, context: CommandContext): Promise<ExitCode> {
  const { io, version } = context;
  const user = checkUser(options.user ?? io.env.KAGGLE_USERNAME);
  const { recipe, diagnostics } = loadRecipe(file, [], io);
  io.stderr.write(context.render(diagnostics, "stderr"));
  const name = options.name ?? basename(file).replace(/\.ya?ml$/, "");
  const parts = {
    lemaVersion: version,
    lema: lemaCell(await packageFiles(packageRoot())),
    recipe,
    recipeText: await readFile(resolve(io.cwd, file), "utf8"),
    recipeFiles: await recipeFiles(recipe, io.cwd),
  };
  const accelerator = options.accelerator ?? acceleratorFor(recipe) ?? "none";
  const machine: NotebookMachine = {
    accelerator: accelerator === "none" ? null : accelerator,
    visibility: options.public ? "public" : "private",
    datasets: options.attach ?? [],
    models: options.attachModel ?? [],
    notebooks: [],
  };
  const named = (purpose: "train" | "chat"): NotebookIdentity => ({
    user,
    slug: slugOf(name, purpose),
  });
  if (options.continue !== undefined) checkOther(options.continue, named("train"), name);
  const out = resolve(io.cwd, options.out ?? join("kaggle", basename(name)));
  const earlier = options.continue === undefined ? [] : [options.continue];
  const session = { notebook: named("train"), continues: earlier.length > 0, hours: options.hours };
  const written = [
    await write(join(out, "train"), trainingNotebook(parts, session), named("train"), {
      ...machine,
      notebooks: earlier,
    }),
    await write(join(out, "chat"), replyNotebook(parts), named("chat"), {
      ...machine,
      notebooks: [named("train")],
    }),
  ];
  const shown = written.map(({ directory, ...rest }) => ({
    directory: relative(io.cwd, directory) || ".",
    ...rest,
  }));
  if (options.json) {
    io.stdout.write(jsonText({ accelerator: machine.accelerator, notebooks: shown }));
    return 0;
  }
  for (const { directory, notebook, bytes } of shown)
    io.stdout.write(`${directory}: ${notebook}, ${formatBytes(bytes)}\n`);
  io.stdout.write(
    `machine: ${machine.accelerator ?? "no GPU"}; the notebook plans for what it finds there\n`,
  );
  io.stderr.write(`start it with: lema kaggle push ${shown[0]!.directory}\n`);
  return 0;
}

/** A notebook that is pushed again replaces what its first session kept. Throws `cli.usage`. */
function checkOther(earlier: NotebookIdentity, own: NotebookIdentity, name: string): void {
  if (addressOf(earlier) !== addressOf(own)) return;
  throw new DiagnosticError(
    diagnostic("cli.usage", {
      summary: `${addressOf(own)} cannot go on with itself: what its session kept is to be attached to another notebook`,
      hint: `give this one a name of its own, such as \`--name ${name}-2\``,
    }),
  );
}

/** Throws `kaggle.too-large`. */
async function write(
  directory: string,
  content: Notebook,
  identity: NotebookIdentity,
  machine: NotebookMachine,
): Promise<Written> {
  const codeFile = `${identity.slug}.ipynb`;
  const text = notebookText(content);
  checkLength(content, text.length);
  await makeDirectory(directory);
  await replaceFile(join(directory, codeFile), text);
  // Whoever finds the metadata finds the notebook.
  await replaceFile(join(directory, METADATA_FILE), jsonText(kernelMetadata(identity, codeFile, machine)));
  return { directory, notebook: addressOf(identity), bytes: text.length };
}

/** `length`: bytes, since the text is ASCII. */
function checkLength({ cells }: Notebook, length: number): void {
  if (length < LARGEST_NOTEBOOK) return;
  const largest = [...cells].sort((a, b) => b.source.length - a.source.length).slice(0, 3);
  throw new DiagnosticError(
    diagnostic("kaggle.too-large", {
      summary: `the notebook has ${formatBytes(length)}, and Kaggle takes less than ${formatBytes(LARGEST_NOTEBOOK)}`,
      detail: largest.map(({ id, source }) => `cell ${id}: ${formatBytes(source.length)}`).join("\n"),
      hint: "upload the dataset to Kaggle, name its place in the recipe (/kaggle/input/NAME/FILE) and attach it: `--attach USER/NAME`",
    }),
  );
}

function acceleratorName(text: string): string {
  if (text === "none" || /^[A-Z][A-Za-z0-9]+$/.test(text)) return text;
  throw new InvalidArgumentError("Expected a name such as NvidiaTeslaT4, or none.");
}

function attach(text: string, previous: readonly string[] = []): readonly string[] {
  if (!/^[\w-]+\/[\w-]+$/.test(text)) throw new InvalidArgumentError("Expected USER/NAME of a dataset.");
  return collect(text, previous);
}

function attachModel(text: string, previous: readonly string[] = []): readonly string[] {
  if (!/^([\w.-]+\/){4}\d+$/.test(text))
    throw new InvalidArgumentError("Expected USER/MODEL/FRAMEWORK/VARIATION/VERSION of a model.");
  return collect(text, previous);
}

function notebookAddress(text: string): NotebookIdentity {
  const [, user, slug] = /^([\w-]+)\/([\w-]+)$/.exec(text) ?? [];
  if (user === undefined || slug === undefined)
    throw new InvalidArgumentError("Expected USER/NAME of a notebook.");
  return { user: user.toLowerCase(), slug };
}
