/**
 * The part of lema that a notebook carries: the bundled command line, the hardware profiles, and the native sources with
 * the headers they need, so that a C++ compiler and CMake on the other side are enough.
 */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import { type EmbeddedFile, embeddedFile } from "./archive.ts";

/** Below the package's root; a folder stands for all in it. */
const PARTS = ["package.json", "CMakeLists.txt", "LICENSE", "bin", "dist", "native", "recipes/hardware"];
/** Where the notebook finds the headers, by the package that has them. */
const HEADERS = { "node-addon-api": ".", "node-api-headers": "include" } as const;
export const HEADER_FOLDER = "napi";

/** Throws `kaggle.not-built`. */
export async function packageFiles(root: string): Promise<EmbeddedFile[]> {
  if (!existsSync(join(root, "dist/cli/main.js"))) {
    throw new DiagnosticError(
      diagnostic("kaggle.not-built", {
        summary: `${root} has no compiled command line to put into a notebook`,
        hint: "`npm run build:ts` compiles it",
      }),
    );
  }
  const own = (await Promise.all(PARTS.map((part) => filesBelow(join(root, part)))))
    .flat()
    .filter((path) => !path.endsWith(".d.ts") && !path.startsWith(join(root, "native/tests")))
    .map((path) => embeddedFile(relative(root, path).split(sep).join("/"), path));
  return Promise.all([...own, ...(await headerFiles(root))]);
}

async function headerFiles(root: string): Promise<Promise<EmbeddedFile>[]> {
  const found = Object.entries(HEADERS).map(async ([name, folder]) => {
    const directory = join(installedPackage(root, name), folder);
    const names = (await readdir(directory)).filter((file) => file.endsWith(".h"));
    return names.map((file) => embeddedFile(`${HEADER_FOLDER}/${file}`, join(directory, file)));
  });
  return (await Promise.all(found)).flat();
}

/** As Node looks for it: in the `node_modules` of this folder and of those above. */
function installedPackage(from: string, name: string): string {
  const directory = join(from, "node_modules", name);
  if (existsSync(directory)) return directory;
  const above = dirname(from);
  if (above !== from) return installedPackage(above, name);
  throw new DiagnosticError(
    diagnostic("kaggle.not-built", {
      summary: `the package ${name} is missing, whose headers a build needs`,
      hint: "install lema again",
    }),
  );
}

async function filesBelow(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => null);
  if (entries === null) return [path];
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
