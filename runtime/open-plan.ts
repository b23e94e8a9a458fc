/** Reads a plan file and believes nothing of it that was not verified. */
import { readFile } from "node:fs/promises";
import { type Diagnostic, DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";
import { type Plan, planSchema } from "../schemas/plan.ts";
import { verify } from "../schemas/verify/index.ts";

/** Throws `cli.unreadable-file`, `plan.syntax` and every violation that the verifier finds. */
export async function openPlan(path: string): Promise<Plan> {
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
  return planSchema.parse(content);
}

/** Violations name a key of the plan; here the plan has a file. */
function inFile(violation: Diagnostic, file: string): Diagnostic {
  const { where } = violation;
  return { ...violation, where: where?.path === undefined ? { file } : { file, path: where.path } };
}

function refused(
  code: "cli.unreadable-file" | "plan.syntax",
  file: string,
  summary: string,
): DiagnosticError {
  return new DiagnosticError(diagnostic(code, { summary, where: { file } }));
}
