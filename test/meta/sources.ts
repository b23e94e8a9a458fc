/** The project's own source files, for tests that look at the code itself. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, normalize } from "node:path";

/** Files below a folder (or the file itself) that end in one of `extensions`, sorted. */
export function filesBelow(path: string, ...extensions: readonly string[]): string[] {
  if (statSync(path).isFile()) return [path];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && extensions.some((extension) => entry.name.endsWith(extension)))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Every module that a TypeScript file names: relative ones as paths from the root, packages as they are. */
export function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  const statements = /^(?:import|export)\s(?:[^"';]*?\bfrom\s*)?"([^"]+)"|\bimport\("([^"]+)"\)/gm;
  const specifiers = [...text.matchAll(statements)].map(([, named, dynamic]) => (named ?? dynamic)!);
  return specifiers.map((name) => (name.startsWith(".") ? normalize(join(file, "..", name)) : name));
}
