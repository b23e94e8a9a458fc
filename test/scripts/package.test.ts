/** The packages of a release: what the native module asks of a machine, and how the two packages hold together. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { PLATFORM_PACKAGE } from "../../runtime/native-module.ts";
import {
  type PackageManifest,
  PLATFORMS,
  platformManifest,
  releaseManifest,
} from "../../scripts/package/manifests.ts";
import {
  compareVersions,
  parseRequirements,
  portabilityProblems,
  requirementsOf,
} from "../../scripts/package/shared-object.ts";
import { filesBelow, importsOf } from "../meta/sources.ts";

const source = JSON.parse(readFileSync("package.json", "utf8")) as PackageManifest;
const MODULE = "build/native/Release/lema.node";

const HEADERS = `
Dynamic Section:
  NEEDED               libstdc++.so.6
  NEEDED               libm.so.6
  NEEDED               libc.so.6
  INIT                 0x0000000000019000
`;
const SYMBOLS = `
0000000000000000      DF *UND*	0000000000000000 (GLIBC_2.4)   fork
0000000000000000      DF *UND*	0000000000000000 (GLIBC_2.34)  pthread_create
0000000000000000      DF *UND*	0000000000000000 (GLIBC_2.2.5) free
0000000000000000      DF *UND*	0000000000000000 (CXXABI_1.3)  __cxa_throw
0000000000000000  w   D  *UND*	0000000000000000  Base        napi_throw
00000000000230c0 g    DF .text	00000000000000a1  (GLIBC_9.9)   own
`;

describe("what a shared object needs", () => {
  const requirements = parseRequirements(HEADERS, SYMBOLS);

  it("is read from objdump: libraries, and the newest version of undefined symbols", () => {
    expect(requirements).toEqual({
      libraries: ["libc.so.6", "libm.so.6", "libstdc++.so.6"],
      versions: new Map([
        ["GLIBC", "2.34"],
        ["CXXABI", "1.3"],
      ]),
    });
  });

  it("is held against the oldest machine", () => {
    expect(portabilityProblems(requirements, "2.28")).toEqual([
      "it needs libstdc++.so.6, which not every machine has",
      "it needs glibc 2.34, newer than 2.28",
      "it needs symbols CXXABI_1.3 of the machine's libstdc++",
    ]);
    const plain = parseRequirements("  NEEDED   libc.so.6\n", "*UND*  0 (GLIBC_2.34) f\n");
    expect(portabilityProblems(plain, "2.34")).toEqual([]);
    expect(portabilityProblems(plain, "2.4")).toHaveLength(1);
  });

  it("orders versions by number", () => {
    expect(compareVersions("2.4", "2.34")).toBeLessThan(0);
    expect(compareVersions("2.34", "2.34")).toBe(0);
    expect(compareVersions("2.34", "2.2.5")).toBeGreaterThan(0);
  });
});

describe("the native module", () => {
  const objdump = spawnSync("objdump", ["--version"]).status === 0;

  // On a newer system it needs that system's glibc; there `npm run package` refuses it.
  it.runIf(objdump)(
    "carries its own libstdc++ and needs only what Node needs, of the glibc built with",
    () => {
      const { glibcVersionRuntime } = (
        process.report.getReport() as { header: { glibcVersionRuntime: string } }
      ).header;
      const limit = compareVersions(glibcVersionRuntime, "2.36") <= 0 ? "2.34" : glibcVersionRuntime;
      expect(portabilityProblems(requirementsOf(MODULE), limit)).toEqual([]);
    },
  );
});

describe("the packages", () => {
  it("lock each other: lema names every platform at its own version", () => {
    const released = releaseManifest(source);
    const platform = platformManifest(source, "linux-x64", "2.34");
    expect(released.optionalDependencies).toEqual({
      "@lema/linux-x64": source.version,
      "@lema/linux-arm64": source.version,
    });
    expect(platform).toMatchObject({
      name: "@lema/linux-x64",
      version: source.version,
      os: ["linux"],
      cpu: ["x64"],
      libc: ["glibc"],
      main: "lema.node",
      description: expect.stringContaining("glibc 2.34 or newer"),
    });
  });

  it("run nothing at install, and need nothing of development", () => {
    const released = releaseManifest(source);
    expect(released.scripts).toEqual({ "build:native": source.scripts!["build:native"] });
    expect(released.devDependencies).toBeUndefined();
    const { dependencies } = source;
    expect(released.dependencies).toEqual({
      "cmake-js": dependencies!["cmake-js"],
      "node-addon-api": dependencies!["node-addon-api"],
      "node-api-headers": dependencies!["node-api-headers"],
    });
  });

  it("need no package at run time: dist imports Node's own modules and its own files only", () => {
    const wrong = filesBelow("dist", ".js").flatMap((file) =>
      importsOf(file).filter(
        (name) => !name.startsWith("node:") && !name.startsWith("dist/") && !isBuiltin(name),
      ),
    );
    expect(wrong).toEqual([]);
  });

  it.runIf(process.platform === "linux")("are found by the name that the runtime looks for", () => {
    expect(Object.keys(releaseManifest(source).optionalDependencies as object)).toContain(PLATFORM_PACKAGE);
  });

  it("are built for every platform by the workflow, with scripts that exist, on the oldest glibc of Node 20", () => {
    const { jobs } = parse(readFileSync(".github/workflows/packages.yml", "utf8"));
    const matrix = jobs.build.strategy.matrix.include as { platform: string }[];
    expect(matrix.map(({ platform }) => platform)).toEqual([...PLATFORMS]);
    const commands = (jobs.build.steps as { run?: string }[]).map(({ run }) => run ?? "").join("\n");
    for (const [, script] of commands.matchAll(/npm run (\S+)/g))
      expect(source.scripts).toHaveProperty([script!]);
    for (const [, file] of commands.matchAll(/tsx (\S+)/g)) expect(existsSync(file!), file).toBe(true);
    expect(commands).toContain("--glibc 2.28");
    const publish = JSON.stringify(jobs.publish.steps);
    for (const platform of PLATFORMS) expect(publish).toContain(platform);
  });
});
