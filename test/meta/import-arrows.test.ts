import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { expect, it } from "vitest";
import { filesBelow, importsOf } from "./sources.ts";

/** Which of our folders each folder may import besides itself. */
const arrows = {
  schemas: [],
  planner: ["schemas"],
  models: ["schemas"],
  data: ["schemas"],
  hub: ["schemas", "models"],
  runtime: ["schemas", "models", "data"],
  workflow: ["schemas", "models", "data", "runtime"],
  chat: ["schemas", "models", "data", "runtime", "workflow"],
  kaggle: ["schemas", "models", "data"],
  cli: ["schemas", "planner", "models", "data", "hub", "runtime", "workflow", "chat", "kaggle"],
} as const satisfies Record<string, readonly string[]>;
type Folder = keyof typeof arrows;
const folders = Object.keys(arrows) as Folder[];

const isOurs = (module: string): boolean => module.endsWith(".ts") || module.endsWith(".json");
const folderOf = (path: string): string => (path.includes("/") ? path.split("/")[0]! : ".");

it.each(folders)("%s imports only what lies below it", (folder) => {
  const files = filesBelow(folder, ".ts");
  expect(files.length).toBeGreaterThan(0);
  const allowed: readonly string[] = [folder, ...arrows[folder]];
  const wrong = files.flatMap((file) =>
    importsOf(file)
      .filter((module) => isOurs(module) && !allowed.includes(folderOf(module)))
      .map((module) => `${file} → ${module}`),
  );
  expect(wrong).toEqual([]);
});

it("sees imports over several lines, of types, and re-exports", () => {
  expect(importsOf("planner/compile.ts")).toContain("planner/passes/sync.ts");
  expect(importsOf("schemas/recipe.ts")).toContain("schemas/recipe/resolved.ts");
  expect(importsOf("runtime/execute.ts")).toContain("runtime/addon.ts");
});

it("the planner and the schemas touch no file, clock, process or environment", () => {
  const pure = new Set(["zod", "yaml", "node:crypto"]);
  const wrong = ["planner", "schemas"].flatMap((folder) =>
    filesBelow(folder, ".ts").flatMap((file) => {
      const impure = importsOf(file).filter((module) => !isOurs(module) && !pure.has(module));
      const globals = readFileSync(file, "utf8").match(
        /\bprocess\.\w|\bperformance\.|\bDate\.now|\bnew Date\b|\bMath\.random|\bfetch\(|\bconsole\./g,
      );
      return [...impure, ...(globals ?? [])].map((what) => `${file}: ${what}`);
    }),
  );
  expect(wrong).toEqual([]);
});

it("the environment is read by the entry alone", () => {
  const wrong = [...folders, "index.ts"]
    .flatMap((place) => filesBelow(place, ".ts"))
    .filter((file) => readFileSync(file, "utf8").includes("process.env"));
  expect(wrong).toEqual([]);
});

it("only runtime/addon.ts imports the native module, and only native/addon knows Node", () => {
  const loaders = [...folders, "index.ts"]
    .flatMap((place) => filesBelow(place, ".ts"))
    .filter((file) => importsOf(file).includes("runtime/native-module.ts"));
  expect(loaders).toEqual(["runtime/addon.ts"]);
  const required = folders
    .flatMap((folder) => filesBelow(folder, ".ts"))
    .filter((file) => /\brequire\(|createRequire|process\.dlopen/.test(readFileSync(file, "utf8")));
  expect(required).toEqual(["runtime/native-module.ts"]);
  const napi = filesBelow("native", ".cc", ".h").filter((file) =>
    /#include\s*["<](?:napi|node_api|js_native_api)/.test(readFileSync(file, "utf8")),
  );
  expect(napi).not.toEqual([]);
  expect(napi.filter((file) => !file.startsWith("native/addon/"))).toEqual([]);
});

it("no shared code asks for an op by its name", () => {
  const wrong = folders
    .flatMap((folder) => filesBelow(folder, ".ts"))
    .filter((file) => /\bop(?:\.name)?\s*[!=]==\s*"/.test(readFileSync(file, "utf8")));
  expect(wrong).toEqual([]);
});

it("files are named in kebab-case", () => {
  const wrong = [...folders, "scripts", "test"]
    .flatMap((folder) => filesBelow(folder, ".ts"))
    .filter((file) => !/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test)?\.ts$/.test(basename(file)));
  expect(wrong).toEqual([]);
});
