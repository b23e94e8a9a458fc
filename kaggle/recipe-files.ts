/**
 * What a notebook needs of a recipe's own files: those that go into it, and how the rest gets there. A dataset that
 * `lema dataset build` wrote is built again over there; a model comes from the Hub unless it is tiny; what a path below
 * /kaggle/input names is attached to the notebook by its owner.
 */

import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, isAbsolute, join, resolve, sep } from "node:path";
import { readPullRecord } from "../models/pull-record.ts";
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import type { Recipe } from "../schemas/recipe.ts";
import { formatBytes } from "../schemas/units.ts";
import { type EmbeddedFile, embeddedFile } from "./archive.ts";

export interface RecipeFiles {
  /** All but the model's. */
  readonly files: readonly EmbeddedFile[];
  /** Empty where the model is fetched or attached. */
  readonly modelFiles: readonly EmbeddedFile[];
  /** The model's directory over there. */
  readonly model: string;
  /** Changes to the recipe, since these files stand elsewhere over there: `--set` assignments. */
  readonly overrides: readonly string[];
  /** How to get the model; null: it is a file of the notebook, or attached to it. */
  readonly pull: { readonly repo: string; readonly revision: string; readonly directory: string } | null;
  /** How to build the dataset; null: as with the model. */
  readonly builder: DatasetBuilder | null;
  /** Questions with known answers, where the dataset has them. */
  readonly heldOut: string | null;
}

export interface DatasetBuilder {
  readonly path: string;
  readonly seed: number;
  readonly examples: number;
  readonly conversations: number;
  readonly heldOut: number;
  /** Hex SHA-256 that the built file must have. */
  readonly sha256: string;
}

/** Where Kaggle shows what is attached to a notebook. */
const ATTACHED = "/kaggle/input/";
/** A notebook holds a megabyte, half of which is lema. */
const LARGEST = 2 ** 20;

/** Throws `cli.unreadable-file`, `model.not-found` and `kaggle.too-large`. */
export async function recipeFiles(recipe: Recipe, cwd: string): Promise<RecipeFiles> {
  const places = new Places(cwd);
  const model = await modelFiles(recipe.model, places);
  const dataset = await datasetFiles(recipe.dataset.path, places);
  const others: EmbeddedFile[] = [];
  if (recipe.dataset.template.endsWith(".jinja")) {
    others.push(await places.embed("dataset.template", recipe.dataset.template));
  }
  if (recipe.adapter.from !== null && !isAttached(recipe.adapter.from)) {
    others.push(...(await places.embedFolder("adapter.from", recipe.adapter.from)));
  }
  return {
    files: [...dataset.files, ...others],
    modelFiles: model.files,
    model: model.directory,
    overrides: places.overrides,
    pull: model.pull,
    builder: dataset.builder,
    heldOut: dataset.heldOut,
  };
}

const isAttached = (path: string): boolean => path.startsWith(ATTACHED);

/** Gives every file a place in the notebook's folder: its own where the path is relative and stays inside. */
class Places {
  readonly overrides: string[] = [];
  readonly #cwd: string;

  constructor(cwd: string) {
    this.#cwd = cwd;
  }

  source(path: string): string {
    return resolve(this.#cwd, path);
  }

  place(key: string, path: string): string {
    const steps = path.split(sep);
    if (!isAbsolute(path) && !steps.includes("..")) return steps.filter((step) => step !== ".").join("/");
    const inside = `inputs/${basename(path)}`;
    this.overrides.push(`${key}=${inside}`);
    return inside;
  }

  async embed(key: string, path: string): Promise<EmbeddedFile> {
    await checkSize(path, this.source(path));
    return embeddedFile(this.place(key, path), this.source(path));
  }

  async embedFolder(key: string, path: string): Promise<EmbeddedFile[]> {
    return this.folderAt(this.place(key, path), path);
  }

  async folderAt(place: string, path: string): Promise<EmbeddedFile[]> {
    const source = this.source(path);
    const names = await readdir(source).catch(() => {
      throw unreadable(path, "it is no folder");
    });
    return Promise.all(
      names.map(async (name) => {
        await checkSize(join(path, name), join(source, name));
        return embeddedFile(`${place}/${name}`, join(source, name));
      }),
    );
  }
}

async function checkSize(path: string, source: string): Promise<void> {
  const found = await stat(source).catch(() => null);
  if (!found?.isFile()) throw unreadable(path, found === null ? "it does not exist" : "it is no file");
  if (found.size <= LARGEST * 16) return;
  throw new DiagnosticError(
    diagnostic("kaggle.too-large", {
      summary: `${path} is too large to stand in a notebook: ${formatBytes(found.size)}`,
      hint: `upload it to Kaggle as a dataset, name its place in the recipe (${ATTACHED}NAME/${basename(path)}) and attach it: \`--attach USER/NAME\``,
    }),
  );
}

function unreadable(path: string, why: string): DiagnosticError {
  return new DiagnosticError(
    diagnostic("cli.unreadable-file", { summary: `cannot read ${path}: ${why}`, where: { file: path } }),
  );
}

interface ModelSource extends Pick<RecipeFiles, "files" | "pull"> {
  readonly directory: string;
}

async function modelFiles(model: string, places: Places): Promise<ModelSource> {
  if (isAttached(model)) return { files: [], pull: null, directory: model };
  const source = places.source(model);
  const record = await readPullRecord(source);
  if (record !== null) {
    const directory = places.place("model", model);
    return { files: [], pull: { repo: record.repo, revision: record.commit, directory }, directory };
  }
  if ((await stat(source).catch(() => null))?.isDirectory()) {
    await checkModelSize(model, source);
    const directory = places.place("model", model);
    return { files: await places.folderAt(directory, model), pull: null, directory };
  }
  if (/^[\w.-]+\/[\w.-]+$/.test(model)) {
    return { files: [], pull: { repo: model, revision: "main", directory: model }, directory: model };
  }
  throw new DiagnosticError(
    diagnostic("model.not-found", {
      summary: `\`${model}\` is neither a directory nor the name of a model on the Hub`,
      hint: "write it as org/model",
    }),
  );
}

async function checkModelSize(model: string, source: string): Promise<void> {
  const names = await readdir(source);
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(source, name))).size));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total <= LARGEST) return;
  throw new DiagnosticError(
    diagnostic("kaggle.too-large", {
      summary: `${model} is too large to stand in a notebook: ${formatBytes(total)}`,
      hint: "name a model on the Hub in the recipe (`lema push` uploads one), or attach one from Kaggle: `--attach USER/NAME` of a dataset, `--attach-model` of a model, and its path below /kaggle/input",
    }),
  );
}

async function datasetFiles(
  path: string,
  places: Places,
): Promise<Pick<RecipeFiles, "files" | "builder" | "heldOut">> {
  if (isAttached(path)) return { files: [], builder: null, heldOut: null };
  const file = await places.embed("dataset.path", path);
  const heldOutSource = path.replace(/\.jsonl$/, ".held-out.jsonl");
  const hasHeldOut =
    heldOutSource !== path && (await stat(places.source(heldOutSource)).catch(() => null)) !== null;
  const heldOut = hasHeldOut ? file.path.replace(/\.jsonl$/, ".held-out.jsonl") : null;
  const builder = await builderOf(file, places.source(path));
  if (builder !== null)
    return { files: [], builder, heldOut: file.path.replace(/\.jsonl$/, ".held-out.jsonl") };
  const files = heldOut === null ? [file] : [file, await embeddedFile(heldOut, places.source(heldOutSource))];
  return { files, builder: null, heldOut };
}

/** What `lema dataset build` was asked for, where a manifest beside the file says so and the file is still the same. */
async function builderOf(file: EmbeddedFile, source: string): Promise<DatasetBuilder | null> {
  try {
    const manifest = JSON.parse(await readFile(source.replace(/\.jsonl$/, ".manifest.json"), "utf8")) as {
      seed: number;
      examples: number;
      conversations: number;
      train: { digest: string };
      held_out: { rows: number };
    };
    const sha256 = createHash("sha256").update(file.content).digest("hex");
    if (manifest.train.digest !== `sha256:${sha256}`) return null;
    const { seed, examples, conversations, held_out } = manifest;
    return { path: file.path, seed, examples, conversations, heldOut: held_out.rows, sha256 };
  } catch {
    return null; // No manifest, or another program's.
  }
}
