/** The native module: where it comes from, what it runs on, and whether it is of this version. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  findModule,
  type ModuleInfo,
  moduleInfo,
  nativeDevice,
  PLATFORM_PACKAGE,
} from "../../runtime/addon.ts";
import { DiagnosticError } from "../../schemas/diagnostic.ts";
import { opTableHash } from "../../schemas/op-table.ts";
import { formatBytes } from "../../schemas/units.ts";
import type { Finding } from "./finding.ts";

export function findNative(lemaVersion: string): Finding[] {
  const place = findModule();
  try {
    return describe(moduleInfo(), lemaVersion);
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    const { code, summary, detail, hint } = error.diagnostics[0]!;
    const facts = {
      code,
      path: place?.path ?? null,
      package: place?.package ?? null,
      platformPackage: PLATFORM_PACKAGE,
    };
    const text = detail === undefined ? summary : `${summary}\n${detail}`;
    return [{ name: "addon", status: "problem", summary: text, ...(hint !== undefined && { hint }), facts }];
  }
}

function describe(info: ModuleInfo, lemaVersion: string): Finding[] {
  const cuda = findDevice();
  const version = info.package === null ? null : packageVersion(info.path);
  const from = info.package === null ? "built here" : `${info.package} ${version}`;
  const facts = {
    path: info.path,
    package: info.package,
    version,
    compiler: info.compiler,
    build: info.build,
    /** What `exec --backend` can have here. */
    backends: ["cpu", ...(cuda.facts.name === null ? [] : ["cuda"])],
  };
  const locked = version === null || version === lemaVersion;
  const addon: Finding = {
    name: "addon",
    status: locked ? "ok" : "problem",
    summary: `${info.path} (${from}, ${info.compiler})`,
    ...(!locked && { hint: `install ${info.package}@${lemaVersion}, the version of lema` }),
    facts,
  };
  // A module for another table is not loaded in the first place.
  const table = opTableHash();
  return [
    addon,
    {
      name: "op table",
      status: "ok",
      summary: `${table.slice(0, 19)}…, in lema and in the addon`,
      facts: { hash: table },
    },
    {
      name: "processor",
      status: info.instructionSet === "generic" && process.arch === "x64" ? "note" : "ok",
      summary: info.device,
      ...(info.instructionSet === "generic" &&
        process.arch === "x64" && {
          hint: "the processor has no AVX2; everything works, several times slower",
        }),
      facts: { device: info.device, instructionSet: info.instructionSet },
    },
    cuda,
  ];
}

/** Whether the cuda backend can compute here; a machine without one is no problem. */
function findDevice(): Finding {
  try {
    const device = nativeDevice("cuda");
    const free = `${formatBytes(device.freeBytes)} of ${formatBytes(device.totalBytes)} free`;
    const summary = `${device.name}, sm_${device.capability}, ${free}, matrix products by ${device.products || "lema's own kernels"}`;
    return { name: "cuda backend", status: "ok", summary, facts: { ...device } };
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    return {
      name: "cuda backend",
      status: "ok",
      summary: `none: ${error.diagnostics[0]!.summary}`,
      facts: { name: null },
    };
  }
}

/** Of the package that a module lies in. */
function packageVersion(path: string): string | null {
  const manifest = join(dirname(path), "package.json");
  if (!existsSync(manifest)) return null;
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}
