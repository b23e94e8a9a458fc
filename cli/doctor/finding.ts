/** One thing that `lema doctor` has looked at. */
export interface Finding {
  /** A word or two, unique in the report. */
  readonly name: string;
  /** `problem`: lema cannot run here as it is. `note`: it runs, and something is slower or missing. */
  readonly status: "ok" | "note" | "problem";
  /** What is there, on a line. */
  readonly summary: string;
  /** What to do about it. */
  readonly hint?: string;
  /** The same for programs. */
  readonly facts: Readonly<Record<string, string | number | boolean | null | readonly string[]>>;
}
