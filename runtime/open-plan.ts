/** Reads a plan file and believes nothing of it that was not verified. */
import { readFile } from "node:fs/promises";
import { type Diagnostic, DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import { type AnyPlan, type Plan, schemaOf } from "../schemas/plan.ts";
import { verify } from "../schemas/verify/index.ts";

/** A plan to train. Throws what `openAnyPlan` throws, and `plan.other-purpose`. */
export async function openPlan(path: string): Promise<Plan> {
  const plan = await openAnyPlan(path);
  if (!("purpose" in plan)) return plan;
  const hint =
    "`lema show` and `lema verify` read it; `lema generate`, `lema chat` and `lema serve` plan for themselves what they run";
  throw refused("plan.other-purpose", path, `${path} is a plan to generate, not to train`, hint);
}

/** Throws `cli.unreadable-file`, `plan.syntax` and every violation that the verifier finds. */
export async function openAnyPlan(path: string): Promise<AnyPlan> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw refused("cli.unreadable-file", path, `cannot read ${path}: ${(error as Error).message}`);
  }
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw refused("plan.syntax", path, `${path} is not JSON: ${(error as Error).message}`);
  }
  const violations = verify(content);
  if (violations.length > 0) throw new DiagnosticError(violations.map((one) => inFile(one, path)));
  return schemaOf(content).parse(content);
}

/** Violations name a key of the plan; here the plan has a file. */
function inFile(violation: Diagnostic, file: string): Diagnostic {
  const { where } = violation;
  return { ...violation, where: where?.path === undefined ? { file } : { file, path: where.path } };
}

function refused(
  code: "cli.unreadable-file" | "plan.syntax" | "plan.other-purpose",
  file: string,
  summary: string,
  hint?: string,
): DiagnosticError {
  return new DiagnosticError(diagnostic(code, { summary, where: { file }, ...(hint && { hint }) }));
}
