/**
 * A YAML document against a zod schema: every problem as a diagnostic with its place, its key path and a way out.
 *
 * A schema speaks in two ways: a message that begins with `expected …` completes "`key` is `value`; expected …";
 * a refinement with `params: { code, hint }` is a whole sentence with its own code.
 */
import type { z } from "zod";
import { type Diagnostic, type DiagnosticCode, diagnostic, diagnosticCodes } from "./diagnostic.ts";
import { type KeyReference, listKeys } from "./key-reference.ts";
import { nearest } from "./suggest.ts";
import {
  type DocumentCodes,
  formatPath,
  type KeyPath,
  locate,
  toPlainData,
  type YamlSource,
} from "./yaml-source.ts";

type Issue = z.core.$ZodIssue;
/** What another tool's name for a key means here. */
export type ForeignNames = ReadonlyMap<string, string>;

interface Check {
  readonly source: YamlSource;
  readonly knownKeys: readonly KeyReference[];
  readonly data: unknown;
  readonly codes: DocumentCodes;
  readonly foreignNames: ForeignNames;
}

/** The parsed value, or all that is wrong with it. */
export function checkDocument<Out>(
  schema: z.ZodType<Out>,
  source: YamlSource,
  codes: DocumentCodes,
  foreignNames: ForeignNames = new Map(),
): { value?: Out; diagnostics: Diagnostic[] } {
  const plain = toPlainData(source, codes);
  if ("diagnostics" in plain) return plain;
  const result = schema.safeParse(plain.data, { error: expectation });
  if (result.success) return { value: result.data, diagnostics: [] };
  const check: Check = { source, knownKeys: listKeys(schema), data: plain.data, codes, foreignNames };
  return { diagnostics: flatten(result.error.issues, []).flatMap((issue) => describe(issue, check)) };
}

/** Replaces each failed union by the problems of the alternative that the user evidently meant. */
function flatten(issues: readonly Issue[], parent: PropertyKey[]): Issue[] {
  return issues.flatMap((issue) => {
    const placed: Issue = { ...issue, path: [...parent, ...issue.path] };
    if (placed.code !== "invalid_union") return [placed];
    // The right kind of value with something wrong inside: no complaint about the alternative as a whole.
    const meant = placed.errors.find((branch) =>
      branch.every(({ path, code }) => path.length > 0 || code === "unrecognized_keys"),
    );
    if (meant !== undefined && meant.length > 0) return flatten(meant, placed.path);
    return [placed.message === UNSAID ? { ...placed, message: anyOf(placed.errors.flat()) } : placed];
  });
}

/** What a union says that has no words of its own: its alternatives' expectations in a row. */
function anyOf(issues: readonly Issue[]): string {
  return `expected ${[...new Set(issues.map(({ message }) => message.replace(/^expected /, "")))].join(", or ")}`;
}

function describe(issue: Issue, check: Check): Diagnostic[] {
  const { source, codes, data } = check;
  const path = issue.path as KeyPath;
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey([...path, key], check));
  if (issue.code === "custom" && isDiagnosticCode(issue.params?.code)) {
    const hint: unknown = issue.params.hint;
    return [
      diagnostic(issue.params.code, {
        summary: issue.message,
        where: locate(source, path, "key"),
        ...(typeof hint === "string" ? { hint } : {}),
      }),
    ];
  }
  const name = path.length === 0 ? "the document" : `\`${formatPath(path)}\``;
  const value = valueAt(data, path);
  if (value === undefined) {
    const where = locate(source, path, "key");
    const hint = check.knownKeys.find((key) => key.path === formatPath(path))?.description;
    return [
      diagnostic(codes.missingKey, { summary: `${name} is missing`, where, ...(hint ? { hint } : {}) }),
    ];
  }
  const hint = valueHint(issue, value);
  return [
    diagnostic(codes.invalidValue, {
      summary: `${name} is ${show(value)}; ${issue.message}`,
      where: locate(source, path, "value"),
      ...(hint === undefined ? {} : { hint }),
    }),
  ];
}

function unknownKey(path: KeyPath, { source, knownKeys, codes, foreignNames }: Check): Diagnostic {
  const key = String(path.at(-1));
  const hint = unknownKeyHint(
    key,
    formatPath(path.slice(0, -1)),
    knownKeys.map((known) => known.path),
    foreignNames,
  );
  return diagnostic(codes.unknownKey, {
    summary: `unknown key \`${key}\``,
    where: locate(source, path, "key"),
    ...(hint === undefined ? {} : { hint }),
  });
}

function unknownKeyHint(
  key: string,
  parent: string,
  known: readonly string[],
  foreignNames: ForeignNames,
): string | undefined {
  const elsewhere = known.find((path) => lastStep(path) === key);
  if (elsewhere !== undefined) return `it belongs elsewhere: \`${elsewhere}\``;
  const foreign = foreignNames.get(key);
  if (foreign !== undefined) return known.includes(foreign) ? `it is \`${foreign}\` here` : foreign;
  const siblings = known.filter((path) => parentOf(path) === parent).map(lastStep);
  const slip = nearest(key, siblings);
  if (slip !== undefined) return `did you mean \`${slip}\`?`;
  const distant = nearest(key, known.map(lastStep));
  if (distant !== undefined) return `did you mean \`${known.find((path) => lastStep(path) === distant)}\`?`;
  return siblings.length === 0 ? undefined : `known keys here: ${siblings.join(", ")}`;
}

/** The message of an issue that neither the schema nor {@link expectation} puts into words. */
const UNSAID = "expected something else";

/** The default wording of zod's issues, for schemas that say nothing themselves. */
function expectation(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return `expected ${TYPE_WORDS[issue.expected] ?? issue.expected}`;
    case "invalid_value":
      return `expected ${issue.values.map((value) => `\`${String(value)}\``).join(" or ")}`;
    case "too_small":
      return issue.origin === "array" || issue.origin === "string"
        ? "expected it not to be empty"
        : `expected ${issue.inclusive ? "at least" : "more than"} ${issue.minimum}`;
    case "too_big":
      return `expected ${issue.inclusive ? "at most" : "less than"} ${issue.maximum}`;
    default:
      return UNSAID;
  }
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  int: "a whole number",
  number: "a number",
  string: "text",
  boolean: "`true` or `false`",
  object: "a section with keys",
  array: "a list",
};

function valueHint(issue: Issue, value: unknown): string | undefined {
  if (issue.code === "invalid_type" && issue.expected === "boolean" && typeof value === "string") {
    return /^(yes|no|on|off)$/i.test(value) ? "YAML 1.2 writes `true` and `false`" : undefined;
  }
  const slip = typeof value === "string" ? nearest(value, choicesOf(issue)) : undefined;
  return slip === undefined ? undefined : `did you mean \`${slip}\`?`;
}

function choicesOf(issue: Issue): string[] {
  if (issue.code === "invalid_union") return issue.errors.flat().flatMap(choicesOf);
  return issue.code === "invalid_value" ? issue.values.map(String) : [];
}

function show(value: unknown): string {
  if (value === null) return "empty";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object") return "a section";
  // `6` in quotes is not 6, and must not look like it.
  const text = isQuotedNumber(value) ? JSON.stringify(value) : String(value);
  return text.trim() === "" ? "blank" : `\`${text.length > 60 ? `${text.slice(0, 57)}…` : text}\``;
}

function isQuotedNumber(value: unknown): boolean {
  return typeof value === "string" && value.trim() !== "" && !Number.isNaN(Number(value));
}

function valueAt(data: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>(
    (value, step) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, step)
        ? (value as Record<string | number, unknown>)[step]
        : undefined,
    data,
  );
}

const isDiagnosticCode = (code: unknown): code is DiagnosticCode =>
  typeof code === "string" && Object.hasOwn(diagnosticCodes, code);
const lastStep = (path: string): string => path.slice(path.lastIndexOf(".") + 1);
const parentOf = (path: string): string => path.slice(0, Math.max(path.lastIndexOf("."), 0));
