/**
 * Collects the problems of a dataset: the first few as diagnostics, all of them as counts.
 *
 * A broken file has a problem on every line; listing twenty and counting the rest tells as much as listing them all.
 */
import { type Diagnostic, type DiagnosticCode, DiagnosticError, diagnostic } from "../schemas/diagnostic.ts";

export const LISTED_PROBLEMS = 20;

export class Problems {
  readonly #listed: Diagnostic[] = [];
  readonly #unlisted = new Map<DiagnosticCode, number>();

  add(problem: Diagnostic): void {
    if (this.#listed.length < LISTED_PROBLEMS) this.#listed.push(problem);
    else this.#unlisted.set(problem.code, (this.#unlisted.get(problem.code) ?? 0) + 1);
  }

  /** Throws a `DiagnosticError` with the listed problems and the count of the others, if there are any. */
  throwIfAny(file: string): void {
    if (this.#listed.length === 0) return;
    if (this.#unlisted.size === 0) throw new DiagnosticError(this.#listed);
    const byCode = [...this.#unlisted].map(([code, count]) => `${count} × ${code}`).join(", ");
    const total = [...this.#unlisted.values()].reduce((sum, count) => sum + count, 0);
    throw new DiagnosticError([
      ...this.#listed,
      diagnostic("data.more-problems", { summary: `and ${total} more: ${byCode}`, where: { file } }),
    ]);
  }
}
