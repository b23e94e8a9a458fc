/**
 * Writes every generated file, or with `--check` fails when one is stale.
 *
 * The registry of generators: each is a function in `scripts/generate/`, and a file belongs to exactly one of them.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { generateDiagnosticsReference } from "./generate/diagnostics-reference.ts";
import type { GeneratedFile, Generator } from "./generate/generator.ts";
import { generateJsonSchemas } from "./generate/json-schemas.ts";
import { generateOps } from "./generate/ops.ts";
import { generatePageAssets } from "./generate/page-assets.ts";
import { generateRecipeReference } from "./generate/recipe-reference.ts";

const GENERATORS: readonly Generator[] = [
  generateJsonSchemas,
  generateRecipeReference,
  generateDiagnosticsReference,
  generateOps,
  generatePageAssets,
];

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** All generated files as they should be. */
export async function generateAll(): Promise<GeneratedFile[]> {
  const files = (await Promise.all(GENERATORS.map((generate) => generate()))).flat();
  const duplicate = files.find(({ path }, index) => files.findIndex((file) => file.path === path) !== index);
  if (duplicate) throw new Error(`two generators write ${duplicate.path}`);
  return files;
}

/** The files under `root` that differ from what their sources say. */
export function findStale(files: readonly GeneratedFile[], root: string): GeneratedFile[] {
  return files.filter(({ path, content }) => readExisting(join(root, path)) !== content);
}

function readExisting(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function main(argv: readonly string[]): Promise<number> {
  const unknown = argv.find((argument) => argument !== "--check");
  if (unknown !== undefined) {
    console.error(`unknown argument ${unknown}; usage: npm run generate [-- --check]`);
    return 1;
  }
  const stale = findStale(await generateAll(), ROOT);
  if (argv.includes("--check")) {
    for (const { path } of stale) console.error(`stale: ${path} (run \`npm run generate\`)`);
    return stale.length === 0 ? 0 : 1;
  }
  for (const { path, content } of stale) {
    mkdirSync(dirname(join(ROOT, path)), { recursive: true });
    writeFileSync(join(ROOT, path), content);
    console.error(`wrote ${path}`);
  }
  return 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main(process.argv.slice(2));
