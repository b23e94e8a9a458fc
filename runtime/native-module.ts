/**
 * The native module as Node loads it: its shape, where it is found, and what its failures mean. Only `addon.ts` uses
 * it.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Diagnostic, DiagnosticError, diagnostic, invariant } from "../schemas/diagnostic.ts";
import { opTableHash } from "../schemas/op-table.ts";

export interface NativeEngine {
  load(plan: Uint8Array, paths: readonly string[]): Promise<LoadedInfo>;
  run(request: Uint8Array): Promise<RunStats>;
  readTensor(buffer: number, offset: number, bytes: number): Uint8Array;
  writeTensor(buffer: number, offset: number, bytes: Uint8Array): void;
  /** [buffer, offset, bytes] for each range → 32 bytes for each. */
  digest(ranges: Float64Array): Promise<Uint8Array>;
  trace(): Float64Array;
  deviceBytes(): number;
  cancel(): void;
  close(): void;
}

export interface NativeModule {
  readonly Engine: new (options: {
    backend: string;
    serialLanes: boolean;
    diskWorkers: number;
    diskThrottle: number;
  }) => NativeEngine;
  info(): { opTable: string; compiler: string; instructionSet: string };
  /** Throws an error with `code` where there is none. */
  device(backend: string): NativeDevice;
}

/** A CUDA device, or the emulated one. */
export interface NativeDevice {
  readonly name: string;
  /** 80: compute capability 8.0. */
  readonly capability: number;
  /** The library that computes matrix products where it serves, with its version; empty: all are lema's own. */
  readonly products: string;
  /** The newest CUDA that the driver knows, and the one that the CUDA object was built with; 12040: 12.4. */
  readonly driver: number;
  readonly runtime: number;
  readonly totalBytes: number;
  readonly freeBytes: number;
}

export interface LoadedInfo {
  readonly ramBytes: number;
  readonly vramBytes: number;
  /** Every weight file is read past the page cache. */
  readonly directIo: boolean;
  /** In use on the device, by whomever: with the context and its kernels alone, and with all that a run needs; 0: no device. */
  readonly deviceBytesBefore: number;
  readonly deviceBytesAfter: number;
}

/** Counts of one run. */
export interface RunStats {
  /** From weight files, the over-reads of unaligned ranges included. */
  readonly bytesRead: number;
  /** To checkpoint files. */
  readonly bytesWritten: number;
  readonly nanoseconds: number;
  /** Tensors whose digest has been checked since the plan was loaded. */
  readonly tensorsVerified: number;
}

export interface ModuleInfo {
  /** Hash of the op table that the kernels were built for. */
  readonly opTable: string;
  readonly compiler: string;
  /** Processor and the instruction set that the kernels use on it. */
  readonly device: string;
  readonly instructionSet: string;
  /** `sha256:…` of the module's file. */
  readonly build: string;
  readonly path: string;
  /** The package that it came in; null: built from the sources beside it. */
  readonly package: string | null;
}

/** A place where the module may be. */
export interface ModulePlace {
  readonly path: string;
  readonly package: string | null;
}

/** The package with the module built for this kind of machine; as lema, of the same version. */
export const PLATFORM_PACKAGE = `@lema/${process.platform}-${process.arch}`;

/** Throws `run.no-addon` and `run.addon-mismatch`. Node itself keeps a loaded module, so that asking again is cheap. */
export function loadModule(place: ModulePlace | null = findModule()): NativeModule {
  if (place === null) throw noAddon("There is no native module for this machine.");
  const module = requireModule(place.path);
  const [expected, actual] = [opTableHash(), module.info().opTable];
  if (actual !== expected) {
    throw new DiagnosticError(
      diagnostic("run.addon-mismatch", {
        summary: `The native module was built for other kernels than this version of lema has: ${place.path}`,
        detail: `expected op table ${expected}\nactual   op table ${actual}`,
        hint:
          place.package === null
            ? "build it again: `npm run setup` in a clone, `npm run build:native` in an installed package"
            : `install lema again, with its own version of ${place.package}`,
      }),
    );
  }
  return module;
}

export function moduleInfo(): ModuleInfo {
  const place = findModule();
  const { opTable, compiler, instructionSet } = loadModule(place).info();
  invariant(place !== null, "a module was loaded from nowhere");
  const digest = createHash("sha256").update(readFileSync(place.path)).digest("hex");
  const processor = cpus()[0]?.model.trim() ?? "unknown processor";
  const device = `${processor} (${instructionSet})`;
  return { opTable, compiler, device, instructionSet, build: `sha256:${digest}`, ...place };
}

/** The device that a backend computes on. Throws `run.no-device` with the reason. */
export function nativeDevice(backend: DeviceBackend): NativeDevice {
  try {
    return loadModule().device(backend);
  } catch (error) {
    throw toDiagnostic(error);
  }
}

export type DeviceBackend = "cuda" | "cuda-emulated";

/** `sha256:…` of the object that holds the device's kernels; it lies beside the module. */
export function deviceBuild(backend: DeviceBackend): string {
  const place = findModule();
  invariant(place !== null, "a device was found without a module");
  const file = join(dirname(place.path), `lema_${backend.replaceAll("-", "_")}.so`);
  return `sha256:${createHash("sha256").update(readFileSync(file)).digest("hex")}`;
}

/** What was built here goes before what was installed: whoever builds means it. */
export function findModule(): ModulePlace | null {
  const built = ["../build/native/Release/lema.node", "../../build/native/Release/lema.node"]
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(path));
  if (built !== undefined) return { path: built, package: null };
  const installed = installedModule();
  return installed === null ? null : { path: installed, package: PLATFORM_PACKAGE };
}

function installedModule(): string | null {
  try {
    const path = createRequire(import.meta.url).resolve(`${PLATFORM_PACKAGE}/lema.node`);
    return existsSync(path) ? path : null;
  } catch {
    return null; // The package is not installed.
  }
}

function requireModule(path: string): NativeModule {
  try {
    return createRequire(import.meta.url)(path) as NativeModule;
  } catch (error) {
    throw noAddon(`The native module cannot be loaded: ${messageOf(error)}`);
  }
}

function noAddon(summary: string): DiagnosticError {
  return new DiagnosticError(
    diagnostic("run.no-addon", {
      summary,
      hint:
        `\`npm run setup\` builds it in a clone and says what is missing; an installed lema has it from ${PLATFORM_PACKAGE}, ` +
        "or builds it by `npm run build:native` in its folder",
    }),
  );
}

/** A failure of the native side in the words of the user; the native place stays in the detail. */
export function toDiagnostic(error: unknown): DiagnosticError {
  if (error instanceof DiagnosticError) return error;
  const { code, instruction, op, where } = error as Record<string, unknown>;
  const place = [
    instruction ? `instruction ${instruction}` : null,
    op ? `op ${op}` : null,
    where ? `at ${where}` : null,
  ];
  const detail = place.filter((part) => part !== null).join(", ");
  const { diagnosticCode, hint } = meanings.get(String(code)) ?? { diagnosticCode: "run.engine" };
  return new DiagnosticError(
    diagnostic(diagnosticCode, {
      summary: messageOf(error),
      ...(detail !== "" && { detail }),
      ...(hint !== undefined && { hint }),
    }),
  );
}

interface Meaning {
  readonly diagnosticCode: Diagnostic["code"];
  readonly hint?: string;
}

/** By the codes of native/core/status.h; what is not here is `run.engine`. */
const meanings: ReadonlyMap<string, Meaning> = new Map<string, Meaning>([
  ["truncated", { diagnosticCode: "weights.truncated" }],
  [
    "digest-mismatch",
    {
      diagnosticCode: "weights.digest-mismatch",
      hint: "plan again if the change is meant, else fetch the file again",
    },
  ],
  ["non-finite", { diagnosticCode: "weights.non-finite" }],
  ["cancelled", { diagnosticCode: "run.cancelled" }],
  [
    "unavailable",
    {
      diagnosticCode: "run.no-device",
      hint: "`lema doctor` says what is there, `npm run build:cuda` builds the CUDA object, `--backend cpu` computes on the processor",
    },
  ],
  [
    "io-error",
    {
      diagnosticCode: "run.io-error",
      hint: "make room where none is left, else look at the disk; a training goes on from its last checkpoint with `--resume`",
    },
  ],
  [
    "resource-exhausted",
    {
      diagnosticCode: "run.out-of-memory",
      hint: "close what else holds it (`nvidia-smi` lists the programs on a device), or plan for less: `lema plan RECIPE --set memory.vram=…` or `memory.ram=…`",
    },
  ],
  [
    "kernel-error",
    {
      diagnosticCode: "run.device-failed",
      hint: "`nvidia-smi` and the system's log say whether the device is sound; a training goes on from its last checkpoint with `--resume`",
    },
  ],
  ["op-table-mismatch", { diagnosticCode: "plan.op-table", hint: "plan again with this version of lema" }],
]);

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
