/** What a check is: a statement about a plan, the codes it may raise, and the function that decides it. */
import { type Diagnostic, type DiagnosticCode, diagnostic } from "../diagnostic.ts";
import type { PlanIndex } from "./plan-index.ts";

export type VerifyCode = Extract<DiagnosticCode, `verify.${string}`>;

/** Reports one violation; `path` is where in plan.json it stands. */
export type Report<Code extends VerifyCode = VerifyCode> = (
  code: Code,
  path: string,
  summary: string,
  detail?: string,
) => void;

export interface Check {
  readonly name: string;
  /** What holds for a plan that passes, in one sentence. */
  readonly proves: string;
  readonly codes: readonly VerifyCode[];
  run(index: PlanIndex, report: Report): void;
}

/** Declares a check that can raise only the codes it names. */
export function defineCheck<const Code extends VerifyCode>(check: {
  name: string;
  proves: string;
  codes: readonly Code[];
  run(index: PlanIndex, report: Report<Code>): void;
}): Check {
  return check as Check;
}

const listedPerCode = 8;

/** Collects violations; of many alike the first few are listed and the rest are counted. */
export class Violations {
  readonly #byCode = new Map<VerifyCode, { listed: Diagnostic[]; more: number }>();

  readonly report: Report = (code, path, summary, detail) => {
    const entry = this.#byCode.get(code) ?? { listed: [], more: 0 };
    this.#byCode.set(code, entry);
    if (entry.listed.length === listedPerCode) {
      entry.more++;
      return;
    }
    entry.listed.push(
      diagnostic(code, {
        summary,
        where: { file: "plan.json", path },
        hint: "plan again; a plan is never repaired by hand",
        ...(detail === undefined ? {} : { detail }),
      }),
    );
  };

  has(...codes: readonly VerifyCode[]): boolean {
    return codes.some((code) => this.#byCode.has(code));
  }

  list(): Diagnostic[] {
    return [...this.#byCode].flatMap(([code, { listed, more }]) =>
      more === 0
        ? listed
        : [...listed, diagnostic(code, { summary: `${more} more like this`, where: { file: "plan.json" } })],
    );
  }
}
