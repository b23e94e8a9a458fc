/**
 * Installs the packages that `npm run package` made in an empty folder, as a user without a compiler would, and runs
 * the quickstart's recipe there. Only lema's own dependencies come from the registry.
 */
import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { PLATFORM_PACKAGE } from "../runtime/native-module.ts";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const tarballs = readdirSync("build/packages")
  .filter((name) => name.endsWith(".tgz"))
  .map((name) => resolve("build/packages", name));
check(tarballs.length === 2, "`npm run package` has made two packages");

const folder = mkdtempSync(join(tmpdir(), "lema-packages-"));
try {
  const programs = join(folder, "bin");
  mkdirSync(programs);
  symlinkSync(process.execPath, join(programs, "node"));
  // Of all programs only Node: no compiler, no CMake, no shell.
  const options = { cwd: folder, encoding: "utf8", env: { HOME: folder, PATH: programs } } as const;
  for (const tool of ["cc", "g++", "cmake", "make", "sh"])
    check(spawnSync(tool, ["--version"], options).error !== undefined, `${tool} is not there`);

  // npm's own cache saves the download of what this checkout has installed already.
  const cache = execFileSync("npm", ["config", "get", "cache"], { encoding: "utf8" }).trim();
  const registry = execFileSync("npm", ["config", "get", "registry"], { encoding: "utf8" }).trim();
  const flags = ["--prefer-offline", "--no-audit", "--no-fund", "--cache", cache, "--registry", registry];
  execFileSync(process.execPath, [npmScript(), "install", ...flags, ...tarballs], {
    ...options,
    stdio: "inherit",
  });

  const installed = join(folder, "node_modules/lema");
  const lema = (...argv: readonly string[]) => {
    console.log(`\n$ npx lema ${argv.join(" ")}`);
    const { status, stdout, stderr, error } = spawnSync(
      join(folder, "node_modules/.bin/lema"),
      argv,
      options,
    );
    console.log(`${stdout ?? ""}${stderr ?? error}`.trimEnd());
    return { status, stdout };
  };

  check(lema("doctor").status === 0, "lema can run there");
  const { findings } = JSON.parse(lema("doctor", "--json").stdout) as {
    findings: { name: string; facts: Record<string, unknown> }[];
  };
  const addon = findings.find(({ name }) => name === "addon")!.facts;
  check(addon.package === PLATFORM_PACKAGE, `the addon comes from ${PLATFORM_PACKAGE}`);

  for (const shipped of ["assets", "recipes"])
    cpSync(join(installed, shipped), join(folder, shipped), { recursive: true });
  const recipe = "recipes/quickstart.yaml";
  const run = "scratch/quickstart/run";
  check(lema("dataset", "build", "-o", "scratch/quickstart/reply.jsonl").status === 0, "it has its data");
  check(lema("validate", recipe).status === 0, "the recipe is sound");
  check(lema("plan", recipe, "--set", "training.steps=20").status === 0, "it can be planned");
  check(lema("exec", join(run, "plan.json")).status === 0, "the plan runs");
  check(existsSync(join(folder, run, "final/adapter_model.safetensors")), "there is an adapter");

  const manifest = join(folder, "node_modules", PLATFORM_PACKAGE, "package.json");
  const other = { ...JSON.parse(readFileSync(manifest, "utf8")), version: "0.0.1" };
  writeFileSync(manifest, JSON.stringify(other));
  check(lema("doctor").status === 1, "an addon of another version is called a problem");
  console.log("\npackages: installed without a compiler, and the quickstart's recipe ran");
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** npm as a script for Node: the link that a shell would find leads to it. */
function npmScript(): string {
  return realpathSync(execFileSync("which", ["npm"], { encoding: "utf8" }).trim());
}

function check(holds: boolean, what: string): asserts holds {
  if (holds) return;
  console.error(`\npackages: not so: ${what}`);
  process.exit(1);
}
