/** What a shared object asks of the system that loads it, read with binutils' `objdump`. */
import { execFileSync } from "node:child_process";

export interface Requirements {
  /** Shared libraries by name, sorted. */
  readonly libraries: readonly string[];
  /** The newest symbol version of each kind, such as GLIBC → 2.34. */
  readonly versions: ReadonlyMap<string, string>;
}

export function requirementsOf(path: string): Requirements {
  return parseRequirements(objdump("-p", path), objdump("-T", path));
}

/** From what `objdump -p` and `objdump -T` print. */
export function parseRequirements(headers: string, symbols: string): Requirements {
  const libraries = [...headers.matchAll(/^\s+NEEDED\s+(\S+)$/gm)].map(([, name]) => name!).sort();
  const versions = new Map<string, string>();
  for (const [, kind, version] of symbols.matchAll(/\*UND\*.*\(([A-Z]+)_([\d.]+)\)/g)) {
    const newest = versions.get(kind!);
    if (newest === undefined || compareVersions(version!, newest) > 0) versions.set(kind!, version!);
  }
  return { libraries, versions };
}

/** Below, at or above zero, as versions of numbers and dots are ordered. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split(".").map(Number)) as [number[], number[]];
  for (let i = 0; i < Math.max(left.length, right.length); ++i) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** What keeps an object from running wherever Node.js runs with a glibc of at least `glibc`; empty: nothing. */
export function portabilityProblems({ libraries, versions }: Requirements, glibc: string): string[] {
  const foreign = libraries.filter((name) => !SYSTEM_LIBRARIES.some((pattern) => pattern.test(name)));
  const newest = versions.get("GLIBC") ?? "0";
  const cxx = ["GLIBCXX", "CXXABI"].filter((kind) => versions.has(kind));
  return [
    ...foreign.map((name) => `it needs ${name}, which not every machine has`),
    ...(compareVersions(newest, glibc) > 0 ? [`it needs glibc ${newest}, newer than ${glibc}`] : []),
    ...cxx.map((kind) => `it needs symbols ${kind}_${versions.get(kind)} of the machine's libstdc++`),
  ];
}

/** glibc's own, and the one of the compiler that Node.js itself is linked with. */
const SYSTEM_LIBRARIES = [/^lib(?:c|m|dl|rt|pthread)\.so\.\d$/, /^ld-linux[\w.-]*$/, /^libgcc_s\.so\.1$/];

function objdump(option: string, path: string): string {
  return execFileSync("objdump", [option, path], { encoding: "utf8", maxBuffer: 2 ** 26 });
}
