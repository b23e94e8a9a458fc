/** Typed fields of a JSON object that somebody else wrote; what is wrong is collected, not thrown. */
import { type Diagnostic, type DiagnosticCode, diagnostic } from "../schemas/diagnostic.ts";
import type { PlainJson } from "./strict-json.ts";

export type JsonObject = Readonly<Record<string, PlainJson>>;

export interface FieldReaderOptions {
  /** The file's name in diagnostics. */
  readonly file: string;
  /** The code of a missing or malformed field. */
  readonly invalid: DiagnosticCode;
  /** Key path of the object inside the file, with a dot at its end. */
  readonly prefix?: string;
  /** Where problems go; a list of its own by default. */
  readonly diagnostics?: Diagnostic[];
}

/** After a problem it goes on with a stand-in value, so that all problems of a file are found at once. */
export class FieldReader {
  readonly raw: JsonObject;
  readonly diagnostics: Diagnostic[];
  readonly #options: FieldReaderOptions;

  constructor(raw: JsonObject, options: FieldReaderOptions) {
    this.raw = raw;
    this.diagnostics = options.diagnostics ?? [];
    this.#options = options;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.raw, name);
  }

  /** A positive whole number. An absent field and null mean `fallback`; without one they are an error. */
  count(name: string, fallback?: number): number {
    return this.#number(name, fallback, Number.isSafeInteger, "a positive whole number");
  }

  /** A positive number that stays one in float32, in which kernels compute. */
  positive(name: string, fallback?: number): number {
    const fits = (value: number): boolean => Math.fround(value) > 0 && Math.fround(value) < Infinity;
    return this.#number(name, fallback, fits, "a positive number that float32 holds");
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.raw[name] ?? fallback;
    if (typeof value === "boolean") return value;
    this.invalid(name, `${JSON.stringify(value)} is not true or false`);
    return fallback;
  }

  /** The object `name`, with the same list of diagnostics; undefined when it is absent or null. */
  object(name: string): FieldReader | undefined {
    const value = this.raw[name] ?? null;
    if (value === null) return undefined;
    if (typeof value !== "object" || Array.isArray(value)) {
      this.invalid(name, `${JSON.stringify(value)} is not an object`);
      return undefined;
    }
    const prefix = `${this.#options.prefix ?? ""}${name}.`;
    return new FieldReader(value, { ...this.#options, prefix, diagnostics: this.diagnostics });
  }

  invalid(name: string, what: string, hint?: string): void {
    this.problem(this.#options.invalid, name, what, hint);
  }

  problem(code: DiagnosticCode, name: string, what: string, hint?: string): void {
    this.diagnostics.push(this.#diagnostic(code, name, what, hint));
  }

  warn(code: DiagnosticCode, name: string, what: string): void {
    this.diagnostics.push({ ...this.#diagnostic(code, name, what), severity: "warning" });
  }

  #number(name: string, fallback: number | undefined, fits: (n: number) => boolean, kind: string): number {
    const given = this.raw[name] ?? null;
    const value = given ?? fallback;
    if (typeof value === "number" && fits(value) && value > 0) return value;
    if (value === undefined) this.invalid(name, "is missing");
    // A fallback that was computed from a wrong field is not a second problem.
    else if (given !== null) this.invalid(name, `${JSON.stringify(given)} is not ${kind}`);
    return fallback ?? 1;
  }

  #diagnostic(code: DiagnosticCode, name: string, what: string, hint?: string): Diagnostic {
    const { file, prefix = "" } = this.#options;
    const path = `${prefix}${name}`;
    return diagnostic(code, {
      summary: `${file}: ${path} ${what}`,
      where: { file, path },
      ...(hint === undefined ? {} : { hint }),
    });
  }
}
