/** What the tests of this folder share. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { DiagnosticError } from "../../schemas/diagnostic.ts";

/** A directory that is removed after the test. */
export async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "lema-models-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** The codes of the diagnostics that `action` throws; fails when it throws none. */
export async function codesOf(action: () => unknown): Promise<string[]> {
  return (await diagnosticsOf(action)).map(({ code }) => code);
}

export async function diagnosticsOf(action: () => unknown): Promise<DiagnosticError["diagnostics"]> {
  try {
    await action();
  } catch (error) {
    if (error instanceof DiagnosticError) return error.diagnostics;
    throw error;
  }
  throw new Error("nothing was thrown");
}
