/** What the tests of this folder share. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { compile } from "../../planner/compile.ts";
import { DiagnosticError } from "../../schemas/diagnostic.ts";
import type { Plan } from "../../schemas/plan.ts";
import { type ToyOptions, toyInputs } from "../planner/toy.ts";

/** A directory that is removed after the test. */
export async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "lema-runtime-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** The diagnostics that `action` throws; fails when it throws none. */
export async function diagnosticsOf(action: () => unknown): Promise<DiagnosticError["diagnostics"]> {
  try {
    await action();
  } catch (error) {
    if (error instanceof DiagnosticError) return error.diagnostics;
    throw error;
  }
  throw new Error("nothing was thrown");
}

export async function codesOf(action: () => unknown): Promise<string[]> {
  return (await diagnosticsOf(action)).map(({ code }) => code);
}

/** A plan of a small model, with another training section where the test wants one. */
export function toyPlan(training: Partial<Plan["training"]> = {}, options: ToyOptions = { layers: 2 }): Plan {
  const { plan, diagnostics } = compile(toyInputs(options));
  if (!plan) throw new Error(JSON.stringify(diagnostics));
  return { ...plan, training: { ...plan.training, ...training } };
}
