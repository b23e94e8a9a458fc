/**
 * The native module as Node loads it: its shape, where it is found, and what its failures mean. Only `addon.ts` uses
 * it.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { type Diagnostic, DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";

export interface NativeEngine {
  load(plan: Uint8Array, paths: readonly string[]): Promise<LoadedInfo>;
  run(request: Uint8Array): Promise<RunStats>;
  readTensor(buffer: number, offset: number, bytes: number): Uint8Array;
  writeTensor(buffer: number, offset: number, bytes: Uint8Array): void;
  trace(): Float64Array;
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
}

export interface LoadedInfo {
  readonly ramBytes: number;
  readonly vramBytes: number;
  /** Every weight file is read past the page cache. */
  readonly directIo: boolean;
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
  /** `sha256:…` of the module's file. */
  readonly build: string;
}

/** Beside the sources when they run as they are, beside dist/ when compiled. */
const candidates = ["../build/native/Release/lema.node", "../../build/native/Release/lema.node"].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);

/** Throws `run.no-addon`. Node itself keeps a loaded module, so that asking again is cheap. */
export function loadModule(): NativeModule {
  try {
    return createRequire(import.meta.url)(modulePath()) as NativeModule;
  } catch (error) {
    if (error instanceof DiagnosticError) throw error;
    throw noAddon(`The native module cannot be loaded: ${messageOf(error)}`);
  }
}

export function moduleInfo(): ModuleInfo {
  const { opTable, compiler, instructionSet } = loadModule().info();
  const digest = createHash("sha256").update(readFileSync(modulePath())).digest("hex");
  const processor = cpus()[0]?.model.trim() ?? "unknown processor";
  return { opTable, compiler, device: `${processor} (${instructionSet})`, build: `sha256:${digest}` };
}

function modulePath(): string {
  const path = candidates.find((candidate) => existsSync(candidate));
  if (path === undefined) throw noAddon("The native module has not been built.");
  return path;
}

function noAddon(summary: string): DiagnosticError {
  return new DiagnosticError(
    diagnostic("run.no-addon", { summary, hint: "`npm run setup` builds it and says what is missing" }),
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
  ["op-table-mismatch", { diagnosticCode: "plan.op-table", hint: "plan again with this version of lema" }],
]);

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
