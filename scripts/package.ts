/**
 * `npm run package`: lema and this machine's native module as npm packages, in build/packages. Both tarballs together
 * install without a compiler; scripts/try-packages.ts shows it. Refuses a module that would not run elsewhere.
 *
 *     npm run package -- --glibc 2.28      in a release, built where that is the C library
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { jsonText } from "../runtime/files.ts";
import {
  type PackageManifest,
  PLATFORMS,
  type Platform,
  platformManifest,
  releaseManifest,
} from "./package/manifests.ts";
import { portabilityProblems, requirementsOf } from "./package/shared-object.ts";

/** Of Debian 12, Ubuntu 22.04, RHEL 9 and newer; what the release is built with goes back further. */
const GLIBC = "2.34";
const OUT = "build/packages";
const MODULE = "build/native/Release/lema.node";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const { glibc } = parseArgs({ options: { glibc: { type: "string", default: GLIBC } } }).values;
const source = JSON.parse(readFileSync("package.json", "utf8")) as PackageManifest;

rmSync(OUT, { recursive: true, force: true });
const packages = [stageModule(thisPlatform()), stageLema()];
for (const directory of packages) {
  const [packed] = JSON.parse(npm("pack", "--json", "--pack-destination", OUT, directory)) as [Packed];
  console.log(
    `${join(OUT, packed.filename)}  ${(packed.size / 1e6).toFixed(2)} MB, ${packed.entryCount} files`,
  );
}

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly entryCount: number;
  readonly files: readonly { readonly path: string }[];
}

function stageModule(platform: Platform): string {
  const problems = portabilityProblems(requirementsOf(MODULE), glibc);
  if (problems.length > 0) fail(`${MODULE} is not for other machines: ${problems.join("; ")}`);
  const directory = `./${join(OUT, platform)}`;
  mkdirSync(directory, { recursive: true });
  execFileSync("strip", ["--strip-unneeded", "-o", join(directory, "lema.node"), MODULE]);
  cpSync("LICENSE", join(directory, "LICENSE"));
  writeFileSync(join(directory, "package.json"), jsonText(platformManifest(source, platform, glibc)));
  return directory;
}

function stageLema(): string {
  const directory = `./${join(OUT, "lema")}`;
  const [{ files }] = JSON.parse(npm("pack", "--json", "--dry-run")) as [Packed];
  for (const { path } of files) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    cpSync(path, join(directory, path));
  }
  writeFileSync(join(directory, "package.json"), jsonText(releaseManifest(source)));
  return directory;
}

function thisPlatform(): Platform {
  const name = `${process.platform}-${process.arch}`;
  return PLATFORMS.find((platform) => platform === name) ?? fail(`no package is made for ${name}`);
}

function npm(...argv: readonly string[]): string {
  return execFileSync("npm", argv, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
}

function fail(message: string): never {
  console.error(`package: ${message}`);
  process.exit(1);
}
